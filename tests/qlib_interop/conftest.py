"""A market as a provider folder, and a workflow of qlib's that reads it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    KWARGS_OF_360,
    QLIB_LABEL,
    SELECTED20,
    qlib_processor,
)

from skattn import make_model


@pytest.fixture(scope="module")
def days(market):
    return market.ohlcv.index.get_level_values("datetime").unique()


@pytest.fixture(scope="module")
def provider(market, write_provider, tmp_path_factory):
    folder = tmp_path_factory.mktemp("provider")
    write_provider(market.ohlcv, folder)
    (folder / "instruments" / "csi300.txt").write_bytes(
        (folder / "instruments" / "all.txt").read_bytes()
    )
    return folder


@pytest.fixture
def config(days, provider):
    """Compose a workflow as qlib publishes them: of a model and one of two handlers."""

    def compose(name="GRU", module="gru", kwargs=KWARGS_OF_360, **handler_kwargs):
        series = module.endswith("_ts")
        choose = [qlib_processor("FilterCol", "feature", col_list=SELECTED20)] if series else []
        segments = [[0, 99], [100, 129], [130, 159]]
        segments = [[days[i].date() for i in pair] for pair in segments]
        handler = {
            "start_time": days[0].date(),
            "end_time": days[-1].date(),
            "fit_start_time": days[0].date(),
            "fit_end_time": days[99].date(),
            "instruments": "csi300",
            "infer_processors": [
                *choose,
                qlib_processor("RobustZScoreNorm", "feature", clip_outlier=True),
                qlib_processor("Fillna", "feature"),
            ],
            "learn_processors": [{"class": "DropnaLabel"}, qlib_processor("CSRankNorm", "label")],
            "label": [QLIB_LABEL],
            **handler_kwargs,
        }
        dataset = {
            "handler": {
                "class": "Alpha158" if series else "Alpha360",
                "module_path": "qlib.contrib.data.handler",
                "kwargs": handler,
            },
            "segments": dict(zip(("train", "valid", "test"), segments, strict=True)),
            **({"step_len": 20} if series else {}),
        }
        signal = {"model": "<MODEL>", "dataset": "<DATASET>"}
        record = {"class": "SignalRecord", "module_path": "qlib.workflow.record_temp"}
        return {
            "qlib_init": {"provider_uri": str(provider), "region": "cn"},
            "market": "csi300",
            "benchmark": "SH000300",
            "data_handler_config": handler,
            "port_analysis_config": {"backtest": {"account": 100000000, "benchmark": "SH000300"}},
            "task": {
                "model": {
                    "class": name,
                    "module_path": f"qlib.contrib.model.pytorch_{module}",
                    "kwargs": dict(kwargs),
                },
                "dataset": {
                    "class": "TSDatasetH" if series else "DatasetH",
                    "module_path": "qlib.data.dataset",
                    "kwargs": dataset,
                },
                "record": [{**record, "kwargs": signal}],
            },
        }

    return compose


@pytest.fixture
def hist_files(market, tmp_path):
    """Concepts, their index, and a pretrained LSTM with qlib's names of weights."""
    sectors = pd.get_dummies(market.concepts)
    np.save(tmp_path / "stock2concept.npy", sectors.to_numpy())
    np.save(tmp_path / "stock_index.npy", {code: i for i, code in enumerate(sectors.index)})
    weights = make_model("lstm").build_module(60, 6).state_dict()
    torch.save(weights, tmp_path / "model_lstm_csi300.pkl")
    return {
        "model_path": str(tmp_path / "model_lstm_csi300.pkl"),
        "stock2concept": str(tmp_path / "stock2concept.npy"),
        "stock_index": str(tmp_path / "stock_index.npy"),
    }
