"""The page for users of qlib names all that the translation knows, and all that qlib has."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest
from doc_pages import names_in, read_rows

from skattn import list_models
from skattn.qlib._handlers import DATASETS, HANDLERS
from skattn.qlib._lightgbm import SETTINGS
from skattn.qlib._models import MODELS
from skattn.qlib._plugin_models import SHARED
from skattn.qlib._processors import CROSS_SECTIONAL, MAKERS, REASONS
from skattn.qlib._workflow import ELSEWHERE, SEGMENTS

ROWS = read_rows("coming/qlib.md")
NOT = "not translated"


def rows_of(name: str) -> list[list[str]]:
    """Find the rows whose first cell names a thing of qlib."""
    return [row for row in ROWS if name in names_in(row[0])]


def assert_translated(name: str, becomes: str) -> None:
    found = rows_of(name)
    assert any(becomes in part for row in found for part in names_in(row[1])), (name, becomes)


@pytest.mark.parametrize("module", MODELS)
def test_models_and_their_settings(module: str) -> None:
    model = MODELS[module]
    short = module.rpartition(".")[2]
    (row,) = [row for row in rows_of(model.name) if short in names_in(row[1])]
    assert f'"{model.skattn}"' in names_in(row[2])
    for key, kwarg in model.kwargs.items():
        assert_translated(key, kwarg.parameter)
    for key in model.ignored:
        assert any(row[1].startswith(NOT) for row in rows_of(key)), key


def test_settings_of_plugins_and_lightgbm() -> None:
    for key, kwarg in SHARED.items():
        assert_translated(key, kwarg.parameter)
    for key, setting in SETTINGS.items():
        assert_translated(key, setting.parameter)
    for key in ("d_feat", "stock2concept", "stock_index", "model_path", "early_stopping_rounds"):
        assert rows_of(key)


@pytest.mark.plugins
def test_models_of_plugins() -> None:
    for spec in list_models():
        for place in spec.qlib:
            module, _, name = place.partition(":")
            (row,) = rows_of(name)
            assert module.rpartition(".")[2] in names_in(row[1])
            assert f'"{spec.name}"' in names_in(row[2])
        for key, parameter in spec.qlib_parameters.items():
            assert_translated(key, parameter)


def test_handlers_datasets_processors_and_the_rest() -> None:
    for name in (*HANDLERS, *DATASETS, *SEGMENTS, *CROSS_SECTIONAL, *MAKERS):
        mentioned = {each for row in ROWS for cell in row[:2] for each in names_in(cell)}
        assert name in mentioned, name
    for name in REASONS:
        assert rows_of(name)[0][1].startswith(NOT), name
    for key in ELSEWHERE:
        assert rows_of(key), key


# What pyqlib has --------------------------------------------------------------------------------

SOURCES = {
    "contrib/model": ("Model", "ModelFT"),
    "contrib/data/handler.py": ("DataHandlerLP", "Alpha158", "Alpha360"),
    "contrib/data/highfreq_handler.py": ("DataHandlerLP", "DataHandler"),
    "contrib/data/dataset.py": ("DatasetH",),
    "contrib/data/processor.py": ("Processor",),
    "contrib/data/highfreq_processor.py": ("Processor",),
    "contrib/workflow/record_temp.py": ("RecordTemp",),
    "data/dataset/__init__.py": ("DatasetH", "Dataset"),
    "data/dataset/handler.py": ("DataHandler", "DataHandlerABC"),
    "data/dataset/processor.py": ("Processor", "InstProcessor", "DropnaProcessor"),
    "workflow/record_temp.py": ("RecordTemp", "ACRecordTemp", "SignalRecord", "PortAnaRecord"),
}


def classes_of_qlib(source: str) -> list[ast.ClassDef]:
    """Read the classes of a file or folder of pyqlib that are subclasses of what is wanted."""
    spec = importlib.util.find_spec("qlib")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    home = Path(spec.submodule_search_locations[0]) / source
    files = sorted(home.glob("*.py")) if home.is_dir() else [home]
    return [
        node
        for file in files
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
        and {ast.unparse(base) for base in node.bases} & {*SOURCES[source]}
    ]


def settings_of(node: ast.ClassDef) -> list[str]:
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return [each.arg for each in (*part.args.args[1:], *part.args.kwonlyargs)]
    return []


@pytest.mark.qlib
@pytest.mark.parametrize("source", SOURCES)
def test_every_class_and_setting_of_qlib_is_named(source: str) -> None:
    pytest.importorskip("qlib")
    found = classes_of_qlib(source)
    assert found
    translated = {model.name for model in MODELS.values()} | {"GATs", "LocalformerModel"}
    known = {name for row in ROWS for name in names_in(row[0])}
    for node in found:
        assert rows_of(node.name), f"{source}: {node.name} is not on the page"
        with_settings = {*translated, *HANDLERS, *DATASETS, "LGBModel"}
        if node.name in with_settings or source.startswith("data/dataset/processor"):
            missing = {*settings_of(node)} - known
            assert not missing, f"{source}: {node.name} has {sorted(missing)}"
