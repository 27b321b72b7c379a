"""load_workflow: settings that cannot be translated."""

from __future__ import annotations

import re

import pytest
from helpers import (
    HANDLER_KWARGS,
    HIST_KWARGS,
    KWARGS_OF_158,
    MODEL_KWARGS,
    QLIB_LABEL,
    edit_settings,
)

from skattn.qlib import load_workflow

BAD = {
    "no task": ("task", ..., ValueError, r"^task\b.*\bqlib_init, market\b"),
    "no model": ("task.model", ..., ValueError, r"task\.model\b.*\bdataset, record\b"),
    "task text": ("task", "x", TypeError, r"^task\b.*'x'"),
    "no class": (
        "task.model.class",
        ...,
        ValueError,
        r"task\.model\.class\b.*\bmodule_path, kwargs\b",
    ),
    "class": ("task.model.class", 3, TypeError, r"task\.model\.class\b.*\b3\b"),
    "module": ("task.model.module_path", None, TypeError, r"task\.model\.module_path\b.*None"),
    "hidden text": (
        f"{MODEL_KWARGS}.hidden_size",
        "abc",
        TypeError,
        r"task\.model\.kwargs\.hidden_size\b.*'abc'",
    ),
    "hidden float": (f"{MODEL_KWARGS}.hidden_size", 6.5, TypeError, r"hidden_size.*\b6\.5\b"),
    "hidden bool": (f"{MODEL_KWARGS}.hidden_size", True, TypeError, r"hidden_size.*\bTrue\b"),
    "hidden 0": (
        f"{MODEL_KWARGS}.hidden_size",
        0,
        ValueError,
        r"task\.model\.kwargs\.hidden_size\b.*\b0\b",
    ),
    "lr": (f"{MODEL_KWARGS}.lr", "fast", TypeError, r"kwargs\.lr\b.*'fast'"),
    "lr 0": (f"{MODEL_KWARGS}.lr", 0, ValueError, r"kwargs\.lr\b.*\b0\.0\b\D*$"),
    "dropout": (f"{MODEL_KWARGS}.dropout", 1.5, ValueError, r"kwargs\.dropout\b.*\b1\.5\b"),
    "metric": (f"{MODEL_KWARGS}.metric", "ic", ValueError, r"metric.*'loss'.*'ic'"),
    "loss": (f"{MODEL_KWARGS}.loss", "mae", ValueError, r"loss.*'mse'.*'mae'"),
    "optimizer": (
        f"{MODEL_KWARGS}.optimizer",
        "lbfgs",
        ValueError,
        r"optimizer.*'adam', 'gd'.*'lbfgs'",
    ),
    "GPU": (f"{MODEL_KWARGS}.GPU", "0", TypeError, r"kwargs\.GPU\b.*'0'"),
    "d_feat": (f"{MODEL_KWARGS}.d_feat", 5, ValueError, r"d_feat.*\b6\b.*\b5\b"),
    "kwargs": (MODEL_KWARGS, [1], TypeError, r"task\.model\.kwargs\b.*\[1\]"),
    "dataset": (
        "task.dataset.class",
        "Mine",
        ValueError,
        r"dataset\.class\b.*'Mine'.*'DatasetH', 'TSDatasetH'",
    ),
    "series": (
        "task.dataset.class",
        "TSDatasetH",
        ValueError,
        r"dataset\.class\b.*pytorch_gru\b.*\bDatasetH\b",
    ),
    "handler": (
        "task.dataset.kwargs.handler.class",
        "Alpha101",
        ValueError,
        r"handler\.class\b.*'Alpha101'.*'Alpha158', 'Alpha158vwap'",
    ),
    "pickled handler": (
        "task.dataset.kwargs.handler",
        "file:///a.pkl",
        TypeError,
        r"handler\b.*'file:///a\.pkl'",
    ),
    "freq": (f"{HANDLER_KWARGS}.freq", "1min", ValueError, r"kwargs\.freq\b.*'day'.*'1min'"),
    "start": (f"{HANDLER_KWARGS}.start_time", "soon", TypeError, r"start_time.*'soon'"),
    "start number": (f"{HANDLER_KWARGS}.start_time", 2008, TypeError, r"start_time.*\b2008\W*$"),
    "order": (f"{HANDLER_KWARGS}.end_time", "1999-01-01", ValueError, r"start_time.*end_time"),
    "instruments": (f"{HANDLER_KWARGS}.instruments", 300, TypeError, r"instruments.*\b300\b"),
    "processors": (
        f"{HANDLER_KWARGS}.infer_processors",
        "Fillna",
        TypeError,
        r"infer_processors\b.*'Fillna'",
    ),
    "processor": (
        f"{HANDLER_KWARGS}.infer_processors.0",
        "Fillna",
        TypeError,
        r"infer_processors\.0\b.*'class'.*'Fillna'",
    ),
    "group": (
        f"{HANDLER_KWARGS}.infer_processors.0.kwargs.fields_group",
        "featur",
        ValueError,
        r"0\.kwargs\.fields_group\b.*'feature', 'label'.*'featur'",
    ),
    "clip": (
        f"{HANDLER_KWARGS}.infer_processors.0.kwargs.clip_outlier",
        3,
        TypeError,
        r"clip_outlier.*\b3\b",
    ),
    "overlap": (
        "task.dataset.kwargs.segments.valid",
        ["2000-01-01", "2001-01-01"],
        ValueError,
        r"segments\.valid\b.*segments\.train\b.*'2000-01-01'",
    ),
    "backwards": (
        "task.dataset.kwargs.segments.test",
        ["2100-01-01", "2099-01-01"],
        ValueError,
        r"segments\.test\b.*2100-01-01.*2099-01-01",
    ),
    "pair": (
        "task.dataset.kwargs.segments.train",
        ["2000"],
        ValueError,
        r"segments\.train\b.*\['2000'\]",
    ),
    "no train": (
        "task.dataset.kwargs.segments.train",
        ...,
        ValueError,
        r"segments\.train\b.*\bvalid, test\b",
    ),
    "day": (
        "task.dataset.kwargs.segments.train",
        ["x", None],
        TypeError,
        r"segments\.train\b.*'x', None",
    ),
    "uri": ("qlib_init.provider_uri", 3, ValueError, r"provider_uri.*\b3\b"),
}


@pytest.mark.parametrize("bad", BAD)
def test_errors_name_the_key_and_what_is_allowed(config, bad):
    path, value, error, match = BAD[bad]
    with pytest.raises(error, match=match):
        load_workflow(edit_settings(config(), path, value))


@pytest.mark.parametrize(
    "expression",
    [
        "Ref($close, -1) / Ref($close, -2) - 1",
        "Ref($close, -1) / Ref($close, -1) - 1",
        "Ref($close, 2) / Ref($close, 1) - 1",
        "Ref($close, -2) / Ref($open, -1) - 1",
        "Ref($close, -2) / Ref($close, -1)",
        "Log($close)",
        "Ref($close, -1000000000) / Ref($close, -1) - 1",
        "",
    ],
)
def test_labels_that_are_none(config, expression):
    with pytest.raises(ValueError, match=rf"{HANDLER_KWARGS}\.label\b.*{re.escape(expression)}"):
        load_workflow(config(label=[expression]))


@pytest.mark.parametrize(
    "label", [[QLIB_LABEL, QLIB_LABEL], [[QLIB_LABEL, QLIB_LABEL], ["A", "B"]]]
)
def test_two_labels(config, label):
    with pytest.raises(ValueError, match=rf"{HANDLER_KWARGS}\.label\b.*{re.escape(repr(label))}"):
        load_workflow(config(label=label))


def test_only_a_train_segment(config):
    settings = edit_settings(config(), "task.dataset.kwargs.segments.valid", None)
    with pytest.raises(ValueError, match=r"segments\b.*\bvalid\b.*\btest\b"):
        load_workflow(edit_settings(settings, "task.dataset.kwargs.segments.test", None))


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (
            f"{HANDLER_KWARGS}.infer_processors.0.kwargs.col_list",
            ["KLEN", "XYZ"],
            r"col_list\b.*\b158\b.*\bXYZ\b",
        ),
        (f"{HANDLER_KWARGS}.infer_processors.0.kwargs.col_list", [], r"col_list\b(?!.*\b158\b)"),
        (
            f"{HANDLER_KWARGS}.infer_processors.0.kwargs.col_list",
            ["KLEN"],
            r"d_feat.*\b1\b.*\b20\b",
        ),
        ("task.dataset.kwargs.step_len", 0, r"step_len.*\b0\b"),
        ("task.dataset.class", "DatasetH", r"dataset\.class\b.*pytorch_gru_ts\b.*\bTSDatasetH\b"),
    ],
)
def test_errors_of_alpha158(config, path, value, match):
    with pytest.raises(ValueError, match=match):
        load_workflow(edit_settings(config("GRU", "gru_ts", KWARGS_OF_158), path, value))


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "~nobody-of-this-name/weights.pkl"])
def test_names_that_no_file_can_have(config, hist_files, name):
    kwargs = {**HIST_KWARGS, **hist_files, "model_path": name}
    with pytest.raises(ValueError, match=r"model_path must be a file that exists"):
        load_workflow(config("HIST", "hist", kwargs))


@pytest.mark.parametrize("missing", ["model_path", "stock2concept", "stock_index"])
def test_files_of_hist_that_are_not_there(config, hist_files, missing):
    kwargs = {**HIST_KWARGS, **hist_files, missing: "nowhere.npy"}
    with pytest.raises(ValueError, match=rf"{missing}.*'nowhere\.npy'"):
        load_workflow(config("HIST", "hist", kwargs))
    if missing != "model_path":
        with pytest.raises(ValueError, match=r"stock2concept\b.*stock_index\b"):
            load_workflow(config("HIST", "hist", {**kwargs, missing: None}))
