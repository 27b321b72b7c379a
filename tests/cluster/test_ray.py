"""Searches and signals on Ray, through joblib."""

from __future__ import annotations

import logging
import sys

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.dummy import DummyRegressor

import skattn
from skattn.cluster import check_workers, register_ray
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    ray.init(
        num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
    )
    register_ray()
    yield ray
    ray.shutdown()


def test_the_bits_of_a_local_run(ray, task):
    with joblib.parallel_config("ray", n_jobs=2):
        found = task.run()
    assert found.keys() == task.local.keys()
    for name, values in task.local.items():
        assert_array_equal(found[name], values)


def test_the_bits_with_the_backend_of_ray_itself(ray, data):
    from ray.util.joblib import register_ray as register

    prices, label = data
    ridge, X = DummyRegressor(), prices[["close"]]
    local = cross_val_signal(ridge, X, label.fillna(0), cv=DailyTimeSeriesSplit(2))
    register()
    try:
        with joblib.parallel_config("ray", n_jobs=2):
            found = cross_val_signal(ridge, X, label.fillna(0), cv=DailyTimeSeriesSplit(2))
    finally:
        register_ray()
    assert_array_equal(found, local)


def test_the_table_is_shipped_once(ray, large, monkeypatch):
    from ray._private.serialization import SerializationContext

    windows, label = large
    serialize, sent = SerializationContext.serialize, []

    def count(self, value):
        serialized = serialize(self, value)
        sent.append(serialized.total_bytes)
        return serialized

    monkeypatch.setattr(SerializationContext, "serialize", count)
    cv = DailyTimeSeriesSplit(8, test_size=20)
    with joblib.parallel_config("ray", n_jobs=2):
        cross_val_signal(DummyRegressor(), windows, label.fillna(0), cv=cv)
    rows = 8 * len(label) * 8
    assert windows.nbytes < sum(sent) < windows.nbytes + 24 * len(label) + rows


def test_threads_of_a_worker(ray):
    with joblib.parallel_config("ray", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(torch.get_num_threads)() for _ in range(2))
    assert found == [1, 1]


def test_an_error_names_its_fold(ray, data):
    windows = np.ones((len(data[1]), 3, 1), dtype=np.float32)
    model = skattn.make_model("gru", hidden_size=-1)
    with (
        joblib.parallel_config("ray", n_jobs=2),
        pytest.raises(ValueError, match="hidden_size") as caught,
    ):
        cross_val_signal(model, windows, data[1], cv=DailyTimeSeriesSplit(2))
    assert any("fold" in note for note in caught.value.__notes__)


def test_nodes_that_have_all(ray):
    found = check_workers(ray)
    assert len(found) == 1
    assert found["skattn"].tolist() == [skattn.__version__]


def test_nodes_without_a_plugin(ray, plugin_here):
    with pytest.raises(RuntimeError, match=r"1 of 1 workers") as caught:
        check_workers(ray)
    assert str(caught.value).splitlines()[1].startswith("- node ")
    assert f"lacks {plugin_here}" in str(caught.value)


def test_ray_that_is_not_started():
    ray = pytest.importorskip("ray")
    ray.shutdown()
    with pytest.raises(RuntimeError, match=r"call ray.init\(\) before"):
        check_workers(ray)


def test_ray_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "skattn\[ray\]"'):
        register_ray()
