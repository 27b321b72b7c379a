"""Two processes of torch.distributed share fits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cluster.shared_fits import EQUAL, FAILING, fit, gru, panel, results_of
from kit_models import RowsRegressor
from numpy.testing import assert_allclose

from skattn import GRURegressor

TESTS = Path(__file__).resolve().parents[1]
SCRIPT = TESTS / "cluster" / "shared_fits.py"
EXAMPLE = TESTS.parent / "examples" / "several_devices.py"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent), *sys.path]),
    "OMP_NUM_THREADS": "1",
}

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What two processes leave that have run all the fits."""
    path = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, str(SCRIPT)]
    pair = [
        subprocess.Popen(
            [*command, str(rank), str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
        )
        for rank in range(2)
    ]
    try:
        for rank, process in enumerate(pair):
            printed, _ = process.communicate(timeout=120)
            assert process.returncode == 0, printed
            (path / f"printed{rank}").write_text(printed)
    finally:
        for process in pair:
            process.kill()
    return path


@pytest.fixture(scope="module")
def found(folder) -> list[dict]:
    """Results by rank and name."""
    return [torch.load(folder / f"found{rank}.pt", weights_only=False) for rank in range(2)]


def assert_same(one: dict, other: dict, **tolerance) -> None:
    for part in ("weights", "history"):
        assert one[part].keys() == other[part].keys()
        for name, values in one[part].items():
            assert_allclose(np.asarray(values), np.asarray(other[part][name]), **tolerance)


@pytest.mark.parametrize("name", EQUAL)
def test_weights_and_losses_are_those_of_one_process(found, name):
    alone = results_of(EQUAL[name]())
    assert_same(found[0][name], alone, rtol=1e-5, atol=2e-6)
    assert_same(found[0][name], found[1][name], rtol=0, atol=0)
    assert found[0][name]["processes"] is None


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("lr", ["parameter lr (0.01 in rank 0, 0.02 in rank 1)"]),
        ("max_epochs", ["the epochs to run (2 after 0 in rank 0, 3 after 0 in rank 1)"]),
        ("rows", ["the rows to train on (", "the rows held out ("]),
        ("model", ["the model (RowsRegressor in rank 0, GRURegressor in rank 1)"]),
        ("random_state", ["random_state (None draws another seed in each process)"]),
        ("loss", ["parameter loss (MSELoss() in rank 0, L1Loss() in rank 1)"]),
        ("stops", ["training has ended in rank 1, and goes on in rank 0"]),
        ("changes lr", ["have trained to other weights", "the learning rate"]),
        ("small batch", ["2 processes share a batch", "Raise batch_size=1 to 2 or more"]),
        ("one day", ["as many days. Raise days_per_batch=1 to 2 or more"]),
        ("batch norm", ["Normed has a BatchNorm1d"]),
        ("diverges", ["Training diverged"]),
    ],
)
def test_both_processes_tell_what_is_wrong(found, name, texts):
    for results in found:
        assert results[name].startswith("ValueError: ")
        for text in texts:
            assert text in results[name]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("bad parameter", "InvalidParameterError: GRURegressor: lr must be a float above 0"),
        ("bad rows", "ValueError: Input X contains NaN (first at row 5"),
        ("raises", "OSError: the disk is full"),
        ("forward", "OSError: the device is full"),
        ("backward", "OSError: the device is full"),
    ],
)
def test_the_other_process_hears_of_a_failure(found, name, error):
    assert found[1][name].startswith(error)
    told = "RuntimeError: data_parallel=True: the process of rank 1 has failed: "
    assert found[0][name].startswith(told + error)


def test_a_failure_of_both_is_that_of_each(found):
    for results in found:
        assert results["backward of both"] == "OSError: the device is full"


def test_all_failures_are_looked_at():
    tested = [*test_both_processes_tell_what_is_wrong.pytestmark[0].args[1]]
    tested += test_the_other_process_hears_of_a_failure.pytestmark[0].args[1]
    assert {name for name, _ in tested} == set(FAILING) - {"backward of both"}


def test_a_process_that_ends_is_noticed_at_once(folder):
    text, seconds = torch.load(folder / "lost.pt", weights_only=False)
    assert "has lost another process of the fit" in text
    assert seconds < 20


def test_dropout_is_the_same_in_every_run_and_goes_on_from_a_checkpoint(found):
    first, again = found[0]["dropout"]
    assert_same(first, again, rtol=0, atol=0)
    assert_same(first, found[1]["dropout"][0], rtol=0, atol=0)
    assert_same(found[0]["resumed"], found[0]["whole"], rtol=0, atol=0)
    assert_same(found[0]["resumed"], found[1]["resumed"], rtol=0, atol=0)
    alone = results_of(fit(RowsRegressor, size=8, dropout=0.5, batch_size=40))
    assert not np.array_equal(first["weights"]["out.weight"], alone["weights"]["out.weight"])


def test_the_parts_of_a_batch_have_other_dropout_masks(found):
    masks = [results["masks"] for results in found]
    assert len(masks[0]) == len(masks[1]) > 0
    assert not any(torch.equal(*pair) for pair in zip(*masks, strict=True))


def test_the_first_process_alone_prints_and_stores(folder):
    assert "valid_loss" in (folder / "printed0").read_text()
    assert (folder / "printed1").read_text() == ""
    assert len(list((folder / "stored0").rglob("*.state"))) == 2
    assert not list((folder / "stored1").rglob("*.state"))


# One process --------------------------------------------------------------------------------------


def test_a_process_without_a_group_says_how_to_start():
    with pytest.raises(ValueError, match=r"this process has joined none.*torchrun"):
        gru()


def test_partial_fit_is_refused():
    X, y, _ = panel()
    with pytest.raises(ValueError, match="partial_fit trains in one process"):
        GRURegressor(data_parallel=True).partial_fit(X, y)


@pytest.mark.parametrize("value", ["yes", 2, None, np.array([1, 2])])
def test_other_values_are_refused(value):
    X, y, _ = panel()
    with pytest.raises((TypeError, ValueError), match="data_parallel must be"):
        GRURegressor(data_parallel=value).fit(X, y)


def test_a_group_that_a_fit_was_not_told_of_changes_nothing(tmp_path):
    alone, kwargs = results_of(gru(data_parallel=False)), {"rank": 0, "world_size": 1}
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/g", **kwargs)
    try:
        inside, single = results_of(gru(data_parallel=False)), results_of(gru())
    finally:
        torch.distributed.destroy_process_group()
    assert_same(alone, inside, rtol=0, atol=0)
    assert_same(alone, single, rtol=0, atol=0)


def test_the_example_runs():
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc-per-node", "2", str(EXAMPLE), "--epochs", "1", "--hidden", "4"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert "IC" in done.stdout
    assert done.stdout.count("2 processes") == done.stdout.count("train_loss") == 1
