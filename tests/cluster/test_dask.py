"""Searches and signals on a dask cluster of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.dummy import DummyRegressor

import skattn
from skattn.cluster import check_workers
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.models import GRURegressor

# A worker that finds all packages but some: the folder of links stands for site-packages.
BARE_WORKER = """
import sys
sys.path.append(sys.argv.pop(1))
from distributed.cli.dask_worker import main
main()
"""


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        yield client


def test_the_bits_of_a_local_run(client, task):
    with joblib.parallel_config("dask"):
        found = task.run()
    assert found.keys() == task.local.keys()
    for name, values in task.local.items():
        assert_array_equal(found[name], values)


def test_the_table_is_shipped_once(client, large, monkeypatch):
    from distributed.comm.tcp import TCP

    windows, label = large
    write, sent = TCP.write, []

    async def count(self, *arguments, **keywords):
        size = await write(self, *arguments, **keywords)
        sent.append(size or 0)
        return size

    monkeypatch.setattr(TCP, "write", count)
    cv = DailyTimeSeriesSplit(8, test_size=20)
    with joblib.parallel_config("dask"):
        cross_val_signal(DummyRegressor(), windows, label.fillna(0), cv=cv)
    # Through the scheduler, which lives in this process; the rest is labels, index and positions.
    rows = 8 * len(label) * 8
    assert windows.nbytes < sum(sent) < 2 * (windows.nbytes + 24 * len(label) + rows)


def test_threads_of_a_worker(client):
    with joblib.parallel_config("dask"):
        found = joblib.Parallel()(joblib.delayed(torch.get_num_threads)() for _ in range(4))
    assert found == [1, 1, 1, 1]


def test_an_error_names_its_fold(client, data):
    windows = np.ones((len(data[1]), 3, 1), dtype=np.float32)
    model = GRURegressor(hidden_size=-1)
    with (
        joblib.parallel_config("dask"),
        pytest.raises(ValueError, match="hidden_size") as caught,
    ):
        cross_val_signal(model, windows, data[1], cv=DailyTimeSeriesSplit(2))
    assert any("fold" in note for note in caught.value.__notes__)


def test_workers_that_have_all(client):
    found = check_workers(client)
    assert len(found) == 2
    assert set(found["skattn"]) == {skattn.__version__}
    assert set(found["numpy"]) == {np.__version__}


def test_workers_without_a_plugin(client, plugin_here):
    with pytest.raises(RuntimeError, match="2 of 2 workers") as caught:
        check_workers(client)
    for worker in (0, 1):
        assert f"worker {worker} at tcp://" in str(caught.value)
    assert str(caught.value).count(f"lacks {plugin_here}\n") == 2


def test_workers_of_another_version(client, monkeypatch):
    monkeypatch.setattr(skattn, "__version__", "9.9.9")
    with pytest.raises(RuntimeError, match=r"has skattn \S+ \(here 9\.9\.9\)"):
        check_workers(client)


@pytest.fixture
def bare_client(tmp_path):
    """A cluster whose one worker lacks skattn and skorch."""
    distributed = pytest.importorskip("distributed")
    packages = tmp_path / "packages"
    packages.mkdir()
    for folder in map(Path, sys.path):
        if folder.name == "site-packages":
            for each in folder.iterdir():
                if not each.name.startswith(("skattn", "_skattn", "skorch", "__editable__")):
                    link = packages / each.name
                    if not link.exists():
                        link.symlink_to(each)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        arguments = [cluster.scheduler_address, "--no-nanny", "--nthreads", "1", "--name", "bare"]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        worker = subprocess.Popen(
            [sys.executable, "-S", "-c", BARE_WORKER, str(packages), *arguments, "--no-dashboard"],
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            client.wait_for_workers(1, timeout=60)
            yield client
        finally:
            worker.terminate()
            worker.wait(20)


def test_a_worker_without_skattn(bare_client):
    with pytest.raises(RuntimeError) as caught:
        check_workers(bare_client)
    message = str(caught.value)
    assert "1 of 1 workers" in message
    assert "worker bare at tcp://" in message
    assert f"lacks skattn {skattn.__version__}, skorch " in message
    assert "torch" not in message


def test_a_cluster_without_workers():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        with pytest.raises(RuntimeError, match="no worker yet"):
            check_workers(client)
        client.close()
        with pytest.raises(RuntimeError, match="status is 'closed'"):
            check_workers(client)


@pytest.mark.parametrize("engine", [None, "ray", np, object()])
def test_no_engine(engine):
    with pytest.raises(TypeError, match=r"engine must be a dask.distributed.Client or the module"):
        check_workers(engine)


def test_the_example(tmp_path):
    pytest.importorskip("distributed")
    script = Path(__file__).resolve().parents[2] / "examples" / "beyond_one_machine.py"
    arguments = ["--stocks", "6", "--days", "120"]
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "worker 1 at tcp://" in done.stdout
    assert "the same as in this process, bit for bit: True" in done.stdout
