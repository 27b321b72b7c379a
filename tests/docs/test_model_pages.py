"""The tables of the pages of models tell names and defaults as the code has them."""

from __future__ import annotations

import re

import pytest
from doc_pages import DOCS, names_in, read_rows

from skattn import get_model, list_models
from skattn.base import SequenceRegressor
from skattn.parameters import parameters_of
from skattn.qlib._models import MODELS

BUILT_IN = ("alstm", "gru", "hist", "lstm", "sfm", "transformer")
SHARED = parameters_of(SequenceRegressor)


def defaults_on(page: str, heading: str | None = None) -> dict[str, str]:
    """Read the rows of parameters, name to default, of a page or of a part of a page."""
    return {
        names_in(row[0])[0]: names_in(row[1])[0]
        for row in read_rows(page, heading)
        if len(row) > 3 and len(names_in(row[0])) == 1 and names_in(row[1])
    }


def shown(default: object) -> str:
    return repr(default).replace("'", '"')


def changed_parameters(name: str) -> dict[str, str]:
    """Find the parameters that a model declares, or whose default is its own."""
    return {
        key: shown(declared.default)
        for key, declared in parameters_of(get_model(name)).items()
        if key not in SHARED or declared.default != SHARED[key].default
    }


@pytest.mark.parametrize("name", BUILT_IN)
def test_tables_of_parameters(name: str) -> None:
    assert defaults_on(f"models/{name}.md") == changed_parameters(name)


@pytest.mark.parametrize("name", BUILT_IN)
def test_names_of_qlib(name: str) -> None:
    rows = {names_in(row[0])[0]: row for row in read_rows(f"models/{name}.md")}
    for model in MODELS.values():
        if model.skattn != name:
            continue
        for key, kwarg in model.kwargs.items():
            if kwarg.parameter in rows:
                assert key in names_in(rows[kwarg.parameter][4]), key


def test_table_of_training_parameters() -> None:
    for key, default in defaults_on("models/index.md").items():
        assert default == shown(SHARED[key].default), key


@pytest.mark.plugins
@pytest.mark.parametrize("name", ["gats", "localformer", "master"])
def test_tables_of_plugins(name: str) -> None:
    heading = {"gats": "GATs", "localformer": "Localformer", "master": "MASTER"}[name]
    on_page = defaults_on("models/plugins.md", heading)
    declared = {key: shown(each.default) for key, each in parameters_of(get_model(name)).items()}
    assert on_page == {key: declared[key] for key in on_page}
    assert {key for key in declared if key not in SHARED} <= {*on_page}


def test_every_built_in_model_has_a_page() -> None:
    pages = {path.stem for path in (DOCS / "models").glob("*.md")}
    named = {spec.name for spec in list_models() if spec.target.startswith("skattn.models.")}
    assert named <= pages


@pytest.mark.parametrize("name", [*BUILT_IN, "plugins"])
def test_figures_of_speed_are_printed_ones(name: str) -> None:
    text = " ".join((DOCS / "models" / f"{name}.md").read_text(encoding="utf-8").split())
    rates = re.findall(r"([\d,]+) and ([\d,]+) rows a second", text)
    assert rates
    assert {rate for pair in rates for rate in pair} <= printed_rates()


def test_rates_of_the_overview_are_printed_ones() -> None:
    rates = [row[3] for row in read_rows("models/index.md", "Which to take when")]
    assert len(rates) > len(BUILT_IN)
    assert {*rates} - {"not measured"} <= printed_rates()


def printed_rates() -> set[str]:
    results = (DOCS.parent / "benchmarks" / "results").glob("vs-qlib*.txt")
    return {word for path in results for word in path.read_text(encoding="utf-8").split()}
