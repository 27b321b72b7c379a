"""load_workflow: files in YAML, good ones, broken ones and hostile ones."""

from __future__ import annotations

import re
import sys

import pandas as pd
import pytest
from helpers import (
    edit_settings,
    model_of,
)

from skattn.qlib import load_workflow

YAML = """
qlib_init:
    provider_uri:
        day: "~/somewhere"
market: &market csi300
data_handler_config: &data_handler_config
    start_time: 2008-01-01
    instruments: *market
    label: ["Ref($close, -2) / Ref($close, -1) - 1"]
task:
    model:
        class: LSTM
        module_path: qlib.contrib.model.pytorch_lstm
        kwargs: {lr: 5e-4, GPU: -1, metric: ""}
    dataset:
        class: DatasetH
        module_path: qlib.data.dataset
        kwargs:
            handler:
                class: Alpha360
                module_path: qlib.contrib.data.handler
                kwargs: *data_handler_config
            segments:
                train: [2008-01-01, 2014-12-31]
                test: [2017-01-01, null]
"""


@pytest.fixture
def file(tmp_path):
    pytest.importorskip("yaml")

    def write(text):
        path = tmp_path / "workflow.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_file_with_anchors(file):
    workflow = load_workflow(file(YAML))
    regressor = model_of(workflow)
    assert (regressor.lr, regressor.device) == (5e-4, "cpu")
    assert workflow.data["uri"] == "~/somewhere"
    assert workflow.data["instruments"] == "csi300"
    assert workflow.data["start"] == pd.Timestamp("2008-01-01")
    assert workflow.cv.test == (pd.Timestamp("2017-01-01"), None)
    assert workflow.data == load_workflow(str(file(YAML))).data


def test_files_of_hist_beside_the_workflow(file, hist_files, tmp_path):
    text = YAML.replace("LSTM", "HIST").replace("pytorch_lstm", "pytorch_hist")
    text = text.replace("kwargs: {lr", "kwargs: {model_path: model_lstm_csi300.pkl, lr")
    workflow = load_workflow(file(text.replace("lr: 5e-4", "base_model: LSTM")))
    assert model_of(workflow).pretrained == str(tmp_path / "model_lstm_csi300.pkl")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (("lr: 5e-4", "lr: {{ LR }}"), r"line 14\b.*\{\{ LR \}\}"),
        (("lr: 5e-4", "lr: 1, lr: 2"), r"'lr'.*\bline 14\b"),
        (("task:", "task: ["), r"workflow\.yaml.*task: \["),
        (
            ("lr: 5e-4", "lr: !!python/object/apply:os.system [true]"),
            r"workflow\.yaml.*python/object",
        ),
        (("qlib_init:", "BASE_CONFIG_PATH: base.yaml\nqlib_init:"), "BASE_CONFIG_PATH"),
        (("class: LSTM", "class: &a [*a]"), r"task\.model\.class|\bYAML\b"),
    ],
    ids=["jinja", "twice", "broken", "object", "base", "loop"],
)
def test_broken_files(file, change, match):
    text = YAML.replace(*change)
    assert text != YAML
    with pytest.raises((ValueError, TypeError), match=f"(?s){match}"):
        load_workflow(file(text))


def doubled(levels, first, level):
    """Aliases of aliases: what is written out doubles with each level."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{i}: &a{i} {level.replace('*', f'*a{i - 1}')}" for i in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("? [a]\n: b", r"YAML.*unhashable"),
        ("{[a]: b}", r"YAML.*unhashable"),
        (b"task: \xff\xfe", "UTF-8.*0xff"),
        ("start: 2020-13-45", "YAML.*month"),
        ("a: " + "9" * 6000, r"YAML.*\b4300\b"),
        ("a: !!timestamp x", "YAML"),
        ("a: " + "[" * 3000, "YAML.*recursion"),
        ("a: " + "[" * 60 + "]" * 60, r"\ba\.0\.0\b.*\b50\b"),
        (doubled(60, "[x, x]", "[*, *]"), r"\b10000\b"),
        (doubled(18, "{x: 1}", "{p: *, q: *}"), r"\b10000\b"),
        (doubled(18, "!!pairs [x: 1]", "!!pairs [p: *, q: *]"), r"\b10000\b"),
        (doubled(60, "{x: 1}", "{<<: [*, *]}"), r"merges.*\b10000\b"),
    ],
    ids=[
        "key",
        "flow key",
        "bytes",
        "date",
        "digits",
        "timestamp",
        "open",
        "deep",
        "lists",
        "mappings",
        "pairs",
        "merges",
    ],
)
def test_files_that_are_hostile(file, content, match):
    path = file(content)
    with pytest.raises(ValueError, match=f"(?s)workflow.yaml.*{match}") as info:
        load_workflow(path)
    assert len(str(info.value)) < 1000


def test_a_mapping_with_very_many_keys(config):
    many = {"x": 1}
    for _ in range(18):
        many = {"p": many, "q": many}
    with pytest.raises(ValueError, match=r"mapping.*\b10000\b"):
        load_workflow(edit_settings(config(), "market", many))


def test_a_merge_of_a_merge_names_no_key_twice(file):
    """Though what is deeper is read later: b is merged into a before a is read."""
    text = "b: &b {x: 0}\nd: {e: {f: &a {<<: *b, x: 1}}}\nc: {<<: *a}\n"
    assert load_workflow(file(text + YAML)).translated


def test_without_pyyaml_files_say_what_to_install(file, config, monkeypatch):
    path = file(YAML)
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r'pip install "skattn\[yaml\]"'):
        load_workflow(path)
    assert load_workflow(config()).pipeline


def test_files_that_hold_no_mapping(file, tmp_path):
    with pytest.raises(ValueError, match=r"workflow\.yaml.*\blist\b"):
        load_workflow(file("[1]"))
    with pytest.raises(FileNotFoundError):
        load_workflow(tmp_path / "none.yaml")
    for path in ("", tmp_path):
        with pytest.raises(
            FileNotFoundError, match=rf"{re.escape(str(path or '.'))}\s.*load_workflow"
        ):
            load_workflow(path)
    with pytest.raises(TypeError, match=r"path_or_dict.*\b3\b"):
        load_workflow(3)
