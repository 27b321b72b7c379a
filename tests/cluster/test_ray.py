"""Searches and signals on Ray, through joblib."""

from __future__ import annotations

import logging
import sys

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor

import skattn
from skattn.cluster import check_workers, register_ray
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    register_ray()
    yield ray
    ray.shutdown()


# Each search starts two processes that import torch: few are run.
@pytest.mark.parametrize("task", ["search", "windows"], indirect=True)
def test_the_bits_of_a_local_run(ray, task):
    with joblib.parallel_config("ray", n_jobs=2):
        found = task.run()
    for name, values in task.local.items():
        assert_array_equal(found[name], values)


@pytest.mark.parametrize("task", ["table"], indirect=True)
def test_the_bits_with_the_backend_of_ray_itself(ray, task):
    from ray.util.joblib import register_ray as register

    register()
    try:
        with joblib.parallel_config("ray", n_jobs=2):
            found = task.run()
    finally:
        register_ray()
    for name, values in task.local.items():
        assert_array_equal(found[name], values)


def test_the_table_is_shipped_once_and_torch_has_one_thread(ray, large, monkeypatch):
    from ray._private.serialization import SerializationContext

    windows, label = large
    serialize, sent = SerializationContext.serialize, []

    def count(self, value):
        serialized = serialize(self, value)
        sent.append(serialized.total_bytes)
        return serialized

    monkeypatch.setattr(SerializationContext, "serialize", count)
    model = TransformedTargetRegressor(
        DummyRegressor(),
        func=lambda y: y,
        inverse_func=lambda y: np.full(y.shape, float(torch.get_num_threads())),
        check_inverse=False,
    )
    with joblib.parallel_config("ray", n_jobs=2):
        threads = cross_val_signal(
            model, windows, label.fillna(0), cv=DailyTimeSeriesSplit(8, test_size=20)
        )
    rows = 8 * len(label) * 8
    assert windows.nbytes < sum(sent) < windows.nbytes + 24 * len(label) + rows
    assert set(threads) == {1.0}


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
