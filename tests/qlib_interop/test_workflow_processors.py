"""load_workflow: qlib's processors of features and labels as steps of the pipeline."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import (
    HANDLER_KWARGS,
    KWARGS_OF_158,
    SELECTED20,
    flat_windows,
    keys_of_settings,
    qlib_processor,
    steps_of,
)
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skattn.labels import make_label
from skattn.preprocessing import Alpha360, CrossSectionalScaler, SequenceReshaper
from skattn.qlib import load_workflow, read_provider


@pytest.mark.parametrize(
    ("processors", "steps", "told"),
    [
        ([], ["Alpha360"], {}),
        ([qlib_processor("RobustZScoreNorm", "feature")], ["Alpha360", "RobustZScore"], {}),
        (
            [qlib_processor("ProcessInf"), qlib_processor("ZScoreNorm", "feature")],
            ["Alpha360", "StandardScaler", "SequenceReshaper"],
            {},
        ),
        (
            [
                qlib_processor("Fillna", "feature", fill_value=2),
                qlib_processor("MinMaxNorm", "feature"),
            ],
            ["Alpha360", "SimpleImputer", "MinMaxScaler", "SequenceReshaper"],
            {},
        ),
        (
            [qlib_processor("CSZScoreNorm", ["feature"], method="robust")],
            ["Alpha360", "CrossSectionalScaler", "SequenceReshaper"],
            {},
        ),
        (
            [qlib_processor("CSRankNorm", "feature"), qlib_processor("Fillna", "feature")],
            ["Alpha360", "CrossSectionalScaler", "SimpleImputer", "SequenceReshaper"],
            {},
        ),
        ([qlib_processor("TanhProcess")], ["Alpha360"], {"0.class": "FunctionTransformer"}),
        ([qlib_processor("CSZFillna", "feature")], ["Alpha360"], {"0.class": "mean of the day"}),
        ([qlib_processor("HashStockFormat")], ["Alpha360"], {"0.class": "in memory"}),
        ([qlib_processor("DropnaProcessor", "feature")], ["Alpha360"], {"0.class": "drop rows"}),
        ([qlib_processor("Mine")], ["Alpha360"], {"0.class": "no counterpart of Mine"}),
        (
            [{**qlib_processor("ZScoreNorm", "feature"), "module_path": "mine.processors"}],
            ["Alpha360"],
            {"0.class": "of one's own", "0.kwargs.fields_group": "own", "0.module_path": "own"},
        ),
        (
            [qlib_processor("FilterCol", "feature", col_list=["CLOSE0"])],
            ["Alpha360"],
            {"0.class": "all its columns", "0.kwargs.col_list": "all its columns"},
        ),
        (
            [qlib_processor("RobustZScoreNorm")],
            ["Alpha360", "RobustZScore"],
            {"0.kwargs.fields_group": "label: the label is scaled within its day, or not at all"},
        ),
    ],
    ids=range(14),
)
def test_processors_of_alpha360(config, processors, steps, told):
    settings = config(infer_processors=processors)
    workflow = load_workflow(settings)
    assert steps_of(workflow) == steps
    home = f"{HANDLER_KWARGS}.infer_processors."
    found = {k.removeprefix(home): v for k, v in workflow.untranslated.items() if home in k}
    for key, reason in told.items():
        assert reason in found[key]
    assert bool(found) == bool(told)
    assert keys_of_settings(settings) <= set(workflow.translated) | set(workflow.untranslated)


def test_processors_compute_what_they_say(config, provider):
    """The table steps, put together by hand."""
    processors = [
        qlib_processor("ZScoreNorm", "feature"),
        qlib_processor("Fillna", "feature", fill_value=0.5),
        qlib_processor("MinMaxNorm", "feature"),
    ]
    workflow = load_workflow(config(infer_processors=processors))
    ohlcv = read_provider(provider)
    table = Alpha360(layout="columns").fit_transform(ohlcv)
    scaled = np.nan_to_num(StandardScaler().fit_transform(table), nan=0.5)
    scaled = MinMaxScaler().fit_transform(scaled)
    windows = workflow.pipeline[:-1].fit_transform(ohlcv)
    np.testing.assert_allclose(flat_windows(windows), scaled, atol=1e-6)


def test_processors_of_one_class_are_several_steps(config, provider):
    processors = [
        qlib_processor("Fillna", "feature"),
        qlib_processor("CSZScoreNorm", "feature"),
        qlib_processor("CSRankNorm", "feature"),
        qlib_processor("Fillna", "feature", fill_value=0.5),
    ]
    pipeline = load_workflow(config(infer_processors=processors)).pipeline
    assert list(pipeline.named_steps) == [
        "alpha360",
        "simpleimputer-1",
        "crosssectionalscaler-1",
        "crosssectionalscaler-2",
        "simpleimputer-2",
        "sequencereshaper",
        "model",
    ]
    ohlcv = read_provider(provider)
    pipeline.set_params(model__regressor__max_epochs=1, model__regressor__hidden_size=4)
    predicted = pipeline.fit(ohlcv, make_label(ohlcv)).predict(ohlcv)
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize(
    ("processors", "method", "told"),
    [
        ([{"class": "DropnaLabel"}], None, {}),
        ([qlib_processor("CSZScoreNorm", "label")], "zscore", {}),
        ([qlib_processor("CSZScoreNorm", "label", method="robust")], "robust", {}),
        (
            [qlib_processor("DropnaProcessor", "label"), qlib_processor("CSRankNorm", "label")],
            "rank",
            {},
        ),
        (
            [qlib_processor("CSRankNorm", "label"), qlib_processor("CSZScoreNorm", "label")],
            "rank",
            {"1.class": "scaled already"},
        ),
        ([qlib_processor("CSRankNorm")], "rank", {"0.kwargs.fields_group": "in training alone"}),
        (
            [qlib_processor("ZScoreNorm", "label")],
            None,
            {"0.class": "within its day, or not at all"},
        ),
        ([qlib_processor("Fillna", "label")], None, {"0.class": "leaves such rows unlabelled"}),
        ([qlib_processor("RobustZScoreNorm", "feature")], None, {"0.class": "in training alone"}),
    ],
    ids=range(9),
)
def test_processors_of_the_label(config, processors, method, told):
    workflow = load_workflow(config(learn_processors=processors))
    model = workflow.pipeline["model"]
    assert getattr(model, "method", None) == method
    home = f"{HANDLER_KWARGS}.learn_processors."
    found = {k.removeprefix(home): v for k, v in workflow.untranslated.items() if home in k}
    for key, reason in told.items():
        assert reason in found[key]
    assert bool(found) == bool(told)


def test_columns_may_be_dropped(config):
    drop = [qlib_processor("DropCol", col_list=[c for c in SELECTED20 if c != "KLEN"])]
    settings = config("GRU", "gru_ts", {**KWARGS_OF_158, "d_feat": 138 + 1}, infer_processors=drop)
    workflow = load_workflow(settings)
    assert "KLEN" in workflow.pipeline[0].columns
    assert len(workflow.pipeline[0].columns) == 139
    assert workflow.data["fields"][-1] == "vwap"


def test_a_scaler_within_the_day_is_in_the_pipeline(config):
    workflow = load_workflow(config(infer_processors=[qlib_processor("CSRankNorm", "feature")]))
    scaler, reshaper = workflow.pipeline[1], workflow.pipeline[2]
    assert isinstance(scaler, CrossSectionalScaler)
    assert scaler.method == "rank"
    assert isinstance(reshaper, SequenceReshaper)
