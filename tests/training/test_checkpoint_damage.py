"""What is stored of a fit rots, is forged, finds no room or no place, and is written by many."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import pickle
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import stored_fits
import torch
from helpers import PrintsWhenUnpickled, weights_of
from joblib import Parallel, delayed
from skorch.callbacks import LRScheduler
from stored_fits import assert_same_fit, epochs, four_epochs, kill, trained

from skattn.models import ALSTMRegressor

pytestmark = pytest.mark.filterwarnings("ignore:How many days ahead")
DAMAGED = pytest.mark.filterwarnings("ignore:checkpoint. damaged")


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def stored(directory: Path) -> list[Path]:
    """Files of the stored epochs, the oldest first."""
    return sorted(directory.glob("*/epoch-*"))


# Files that rotted ------------------------------------------------------------------------------


def test_the_epoch_before_a_damaged_one_is_taken(windows, tmp_path):
    straight = four_epochs(dropout=0.2).fit(*windows)
    model = four_epochs(dropout=0.2, checkpoint=tmp_path)
    kill(model, windows, 4)
    before, newest = stored(tmp_path)
    whole = newest.read_bytes()
    half = whole[: len(whole) // 2]
    for bad in (half, b"", whole + b"\0", whole[:32], pickle.dumps(print), before.read_bytes()):
        newest.write_bytes(bad)
        copy = tmp_path / "copy"
        shutil.copytree(newest.parent, copy / newest.parent.name)
        again = four_epochs(dropout=0.2, checkpoint=copy)
        with pytest.warns(UserWarning, match=r"checkpoint: damaged.*epoch-0003.*from epoch 2"):
            assert trained(again, windows) == 2
        assert_same_fit(again, straight, windows[0])
        assert epochs(copy) == ["epoch-0003", "epoch-0004-last"]
        # The damaged file has been replaced.
        assert trained(again, windows) == 0
        shutil.rmtree(copy)
        assert newest.read_bytes() == bad
    newest.unlink()
    assert trained(model, windows) == 2


def test_no_whole_epoch_is_left(windows, tmp_path):
    straight = four_epochs().fit(*windows)
    model = four_epochs(checkpoint=tmp_path).fit(*windows)
    for path in stored(tmp_path):
        flip(path, 12345)
    with pytest.warns(UserWarning, match="epoch-0004-last.*epoch-0003.*from its start"):
        assert trained(model, windows) == 4
    assert_same_fit(model, straight, windows[0])
    assert trained(model, windows) == 0

    drawn = four_epochs(random_state=None, max_epochs=1, checkpoint=tmp_path / "drawn")
    drawn.fit(*windows)
    (path,) = stored(tmp_path / "drawn")
    flip(path, 5)
    with pytest.raises(ValueError, match=r"checkpoint.*random_state=None.*Delete") as caught:
        drawn.fit(*windows)
    assert str(path.parent) in str(caught.value)
    shutil.rmtree(path.parent)
    assert trained(drawn, windows) == 1


def test_a_renamed_file_is_no_other_epoch(windows, tmp_path):
    model = four_epochs(checkpoint=tmp_path)
    kill(model, windows, 4)
    second, third = stored(tmp_path)
    second.replace(third)
    third.rename(third.with_name("epoch-0004-last.state"))
    with pytest.warns(UserWarning, match=r"damaged.*from its start"):
        assert trained(model, windows) == 4

    other = four_epochs(checkpoint=tmp_path / "other", lr=0.02).fit(*windows)
    for path, own in zip(stored(tmp_path / "other"), stored(tmp_path), strict=True):
        shutil.copy(path, own)
    with pytest.warns(UserWarning, match=r"damaged.*from its start"):
        assert trained(model, windows) == 4
    assert not np.array_equal(weights_of(other), weights_of(model))


def outcome(model: ALSTMRegressor, windows, expected: np.ndarray) -> str:
    """Fit, and say how the fit ended."""
    try:
        model.fit(*windows)
    except ValueError as error:
        return "clear error" if str(error).startswith("checkpoint: every") else str(error)
    return "same bits" if np.array_equal(weights_of(model), expected) else "other bits"


def flipped_bits(tmp_path: Path, windows, n: int) -> Counter:
    """Flip a bit, anywhere in what is stored, and look how the fit ends."""
    rng = np.random.default_rng()
    X, y = windows[0][:100], windows[1][:100]
    outcomes = Counter()
    for random_state in (0, None):
        model = four_epochs(random_state=random_state, dropout=0.2, early_stopping=False)
        model.set_params(checkpoint=tmp_path / "store", max_epochs=3)
        for at in (2, 3, 4):  # one epoch is stored, two are, and the fit has ended
            if at < 4:
                kill(model, (X, y), at)
            else:
                model.set_callbacks().fit(X, y)
            kept = tmp_path / f"{random_state}-{at}"
            shutil.copytree(tmp_path / "store", kept)
            expected = weights_of(model.set_callbacks().fit(X, y))
            for _ in range(n // 6 + 1):
                shutil.rmtree(tmp_path / "store")
                shutil.copytree(kept, tmp_path / "store")
                files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
                path = files[rng.integers(len(files))]
                flip(path, int(rng.integers(8 * path.stat().st_size)))
                outcomes[outcome(model, (X, y), expected)] += 1
            shutil.rmtree(tmp_path / "store")
    return outcomes


@DAMAGED
@pytest.mark.parametrize("n", [18, pytest.param(200, marks=pytest.mark.slow)])
def test_flipped_bits(windows, tmp_path, n):
    outcomes = flipped_bits(tmp_path, windows, n)
    print(outcomes)
    assert set(outcomes) == {"same bits", "clear error"}
    assert outcomes.total() >= n
    # Only where a single epoch is stored, and the seed with it.
    assert outcomes["clear error"] == outcomes.total() // 6


# Files that somebody made -----------------------------------------------------------------------


def forge(path: Path, change) -> None:
    """Change what a file holds, and give it a digest that fits."""
    file = io.BytesIO(path.read_bytes()[32:])
    state = torch.load(file, weights_only=False)
    made = change(state)
    file = io.BytesIO()
    torch.save(state if made is None else made, file)
    name = f"{path.parent.name}/{path.name}\n".encode()
    path.write_bytes(hashlib.sha256(name + file.getvalue()).digest() + file.getvalue())


def putting(*keys, value):
    def change(state):
        for key in keys[:-1]:
            state = state[key]
        state[keys[-1]] = value

    return change


def dropping(*keys):
    def change(state):
        for key in keys[:-1]:
            state = state[key]
        del state[keys[-1]]

    return change


FORGERIES = {
    "history []": putting("history", value=[]),
    "history of another epoch": lambda state: state["history"].append(state["history"][0]),
    "history None": putting("history", value=None),
    "history of numbers": putting("history", value=[1, 2]),
    "history without losses": dropping("history", 0, "train_loss"),
    "history in another order": lambda state: state["history"].reverse(),
    "seed None": putting("seed", value=None),
    "seed of another fit": putting("seed", value=7),
    "seed -1": putting("seed", value=-1),
    "seed True": putting("seed", value=True),
    "stopped None": putting("stopped", value=None),
    "no random state": putting("random", value={}),
    "random state of floats": putting("random", "cpu", value=torch.zeros(5056)),
    "short random state": putting("random", "cpu", value=torch.zeros(3, dtype=torch.uint8)),
    "no callbacks": putting("callbacks", value=[]),
    "callbacks of numbers": putting("callbacks", value=[1, 2, 3, 4]),
    "best score": putting("callbacks", 0, "best_score_", value="x"),
    "misses": putting("callbacks", -1, "misses_", value=None),
    "no best epoch": dropping("callbacks", -1, "best_epoch_"),
    "best weights": putting("callbacks", -1, "best_model_weights_", value={}),
    "no base_lrs": dropping("callbacks", 2, "base_lrs"),
    "base_lrs": putting("callbacks", 2, "base_lrs", value=[]),
    "no eps": dropping("optimizer", "param_groups", 0, "eps"),
    "no lr": dropping("optimizer", "param_groups", 0, "lr"),
    "no groups": putting("optimizer", "param_groups", value=[]),
    "optimizer None": putting("optimizer", value=None),
    "no step": dropping("optimizer", "state", 0, "step"),
    "no moments": dropping("optimizer", "state", 0, "exp_avg"),
    "moments of another shape": putting("optimizer", "state", 0, "exp_avg", value=torch.ones(2)),
    "no weights": putting("weights", value={}),
    "weights of another shape": putting("weights", "fc_out.weight", value=torch.ones(2)),
    "weights of another kind": putting("weights", "fc_out.bias", value=torch.ones(1).double()),
    "numbers for weights": putting("weights", "fc_out.bias", value=1.0),
    "one part too few": dropping("seed"),
    "one part too many": putting("more", value=1),
    "a list": lambda state: [state],
}


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_forged(windows, tmp_path, change):
    callbacks = [LRScheduler("StepLR", step_size=2)]
    model = four_epochs(checkpoint=tmp_path, callbacks=callbacks, optimizer="adamw")
    kill(model, windows, 3)
    path = stored(tmp_path)[-1]
    forge(path, change)
    forged = path.read_bytes()
    with pytest.raises(ValueError, match=r"checkpoint: .*not the state of this fit") as caught:
        model.set_callbacks().fit(*windows)
    assert f"{path} " in str(caught.value)
    assert f"Delete the folder {path.parent} " in str(caught.value)
    assert path.read_bytes() == forged


def test_a_file_with_its_own_content_is_taken(windows, tmp_path):
    # What the forgeries are compared with.
    model = four_epochs(checkpoint=tmp_path)
    kill(model, windows, 3)
    forge(stored(tmp_path)[-1], lambda state: None)
    assert trained(model, windows) == 2
    assert_same_fit(model, four_epochs().fit(*windows), windows[0])


def test_no_code_is_read(windows, tmp_path, capsys):
    model = four_epochs(checkpoint=tmp_path).fit(*windows)
    path = stored(tmp_path)[-1]
    torch.save(PrintsWhenUnpickled(), path)
    with pytest.warns(UserWarning, match=r"damaged.*epoch-0004-last"):
        model.fit(*windows)
    forge(path, lambda state: PrintsWhenUnpickled())
    with pytest.raises(ValueError, match=r"checkpoint.*epoch-0004-last"):
        model.fit(*windows)
    assert "code ran" not in capsys.readouterr().out


def test_what_earlier_versions_left_is_not_looked_at(windows, tmp_path):
    model = four_epochs(checkpoint=tmp_path)
    kill(model, windows, 2)
    (folder,) = tmp_path.iterdir()
    for name in ("epoch-0003", "epoch-0004-last", "tmp-5"):
        (folder / name).mkdir()
        (folder / name / "state.pt").write_bytes(b"1")
    assert trained(model, windows) == 3


# Places and room --------------------------------------------------------------------------------


class PathLike:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


def test_paths(windows, tmp_path, monkeypatch):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("")
    link.symlink_to(tmp_path / "nothing")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    long = tmp_path / ("n" * 300)
    bad = [file, file / "below", link, loop, long, f"{tmp_path}/a\0b", f"{tmp_path}/\ud800"]
    if sys.platform == "linux":
        bad.append(Path("/proc/self/skattn"))
    for path in bad:
        with pytest.raises(ValueError, match=r"checkpoint=.*cannot hold") as caught:
            four_epochs(checkpoint=path).fit(*windows)
        assert repr(str(path))[:100] in str(caught.value)
        assert len(str(caught.value)) < 500
    for path in (3, b"bytes"):
        with pytest.raises(ValueError, match=rf"checkpoint.*{path!r}"):
            four_epochs(checkpoint=path).fit(*windows)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint=''.*None"):
        four_epochs(checkpoint="").fit(*windows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "loop"]
    for n, path in enumerate((str(tmp_path / "ü \n"), os.fsencode(tmp_path / "bytes"))):
        assert trained(four_epochs(checkpoint=PathLike(path)), windows) == 4
        assert len(stored(tmp_path / ("ü \n", "bytes")[n])) == 2


def test_the_working_directory_changes(windows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Moves(stored_fits.Tasks):
        def on_fit_task_end(self, estimator, context):
            super().on_fit_task_end(estimator, context)
            (tmp_path / "elsewhere").mkdir(exist_ok=True)
            os.chdir(tmp_path / "elsewhere")

    four_epochs(checkpoint="store").set_callbacks(Moves()).fit(*windows)
    assert epochs(tmp_path / "store") == ["epoch-0003", "epoch-0004-last"]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_directory_is_removed_while_a_fit_goes_on(windows, tmp_path):
    store = tmp_path / "store"

    class Removes(stored_fits.Tasks):
        def on_fit_task_end(self, estimator, context):
            super().on_fit_task_end(estimator, context)
            if self.n_epochs == 3:
                shutil.rmtree(store)

    model = four_epochs(checkpoint=store).set_callbacks(Removes()).fit(*windows)
    assert_same_fit(model, four_epochs().fit(*windows), windows[0])
    assert epochs(store) == ["epoch-0003", "epoch-0004-last"]

    class Replaces(stored_fits.Tasks):
        def on_fit_task_end(self, estimator, context):
            super().on_fit_task_end(estimator, context)
            shutil.rmtree(store)
            store.write_text("")

    shutil.rmtree(store)
    with pytest.raises(ValueError, match="checkpoint: epoch 1 cannot be stored"):
        model.set_callbacks(Replaces()).fit(*windows)


def test_something_else_lies_where_an_epoch_belongs(windows, tmp_path):
    model = four_epochs(checkpoint=tmp_path)
    kill(model, windows, 3)
    (folder,) = tmp_path.iterdir()
    path = folder / "epoch-0003.state"
    for make, undo in (
        (path.mkdir, path.rmdir),
        (lambda: path.symlink_to(tmp_path / "nothing"), path.unlink),
    ):
        make()
        with pytest.raises(ValueError, match=f"checkpoint: {path} cannot be read") as caught:
            model.set_callbacks().fit(*windows)
        assert "delete" in str(caught.value)
        undo()
    # A folder that comes while the fit goes on.
    with pytest.raises(ValueError, match="checkpoint: epoch 3 cannot be stored"):
        model.set_callbacks(MakesFolder(path)).fit(*windows)
    assert epochs(tmp_path) == ["epoch-0001", "epoch-0002", "epoch-0003"]
    path.rmdir()
    assert trained(model, windows) == 2

    shutil.rmtree(folder)
    folder.write_text("")
    with pytest.raises(ValueError, match=rf"checkpoint=.*{folder.name}"):
        model.set_callbacks().fit(*windows)


class MakesFolder(stored_fits.Tasks):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_fit_task_end(self, estimator, context):
        super().on_fit_task_end(estimator, context)
        self.path.mkdir(exist_ok=True)


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("at", [1, 3])
def test_a_disk_that_is_full(windows, tmp_path, monkeypatch, function, code, at):
    model = four_epochs(checkpoint=tmp_path)
    true, n_calls = getattr(os, function), 0

    def fail(path, *args, **kwargs):
        nonlocal n_calls
        is_file = function == "replace" or not stat.S_ISDIR(os.fstat(path).st_mode)
        n_calls += is_file
        if n_calls == at and is_file:
            raise OSError(code, os.strerror(code))
        return true(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail)
        with pytest.raises(
            ValueError, match=f"checkpoint: epoch {at} cannot be stored.*{os.strerror(code)}"
        ):
            model.fit(*windows)
    assert epochs(tmp_path) == ["epoch-0001", "epoch-0002"][: at - 1]
    assert len(list(tmp_path.iterdir())) == (at > 1)
    assert trained(model, windows) == 5 - at
    assert_same_fit(model, four_epochs().fit(*windows), windows[0])


@contextmanager
def largest_file(n_bytes: int):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_may_not_be_so_large(windows, tmp_path):
    model = four_epochs(checkpoint=tmp_path)
    kill(model, windows, 3)
    first, second = (path.read_bytes() for path in stored(tmp_path))
    with (
        largest_file(10_000),
        pytest.raises(ValueError, match=r"checkpoint: epoch 3 cannot.*too large"),
    ):
        model.set_callbacks().fit(*windows)
    assert sorted(path.read_bytes() for path in tmp_path.glob("*/*")) == sorted([first, second])
    assert trained(model, windows) == 2


def test_permissions(windows, tmp_path, monkeypatch):
    model = four_epochs(checkpoint=tmp_path)
    kill(model, windows, 3)
    path = stored(tmp_path)[-1]
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: False)
        with pytest.raises(ValueError, match=r"checkpoint=.*no permission"):
            model.set_callbacks().fit(*windows)

    def refused(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    for owner, name in ((Path, "read_bytes"), (os, "listdir")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, refused)
            with pytest.raises(ValueError, match=r"checkpoint: .*cannot be read: Permission"):
                model.fit(*windows)
    if hasattr(os, "geteuid") and os.geteuid():  # root may do anything
        for place, mode in ((path, 0o000), (path.parent, 0o000), (path.parent, 0o500)):
            before = place.stat().st_mode
            place.chmod(mode)
            with pytest.raises(ValueError, match=r"checkpoint.*ermission"):
                model.fit(*windows)
            place.chmod(before)
    assert trained(model, windows) == 2


# Many processes and threads ----------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize(
    ("n_kills", "n_rounds"), [(3, 1), pytest.param(100, 10, marks=pytest.mark.slow)]
)
def test_killed_at_random_and_four_at_once(tmp_path, n_kills, n_rounds):
    command = [
        sys.executable,
        stored_fits.__file__,
        str(tmp_path / "store"),
        str(n_kills),
        str(n_rounds),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    alone, together = json.loads(done.stdout)
    assert set(alone) == {"killed", "same bits"}, done.stderr
    assert alone["killed"] == n_kills
    assert set(together) <= {"killed", "same bits"}, done.stderr
    assert together["same bits"] > 3 * n_rounds
    assert epochs(tmp_path / "store")[-2:] == ["epoch-0011", "epoch-0012-last"]


def test_equal_fits_in_threads(windows, tmp_path):
    fits = [delayed(four_epochs(checkpoint=tmp_path).fit)(*windows) for _ in range(6)]
    fitted = Parallel(n_jobs=3, backend="threading")(fits)
    assert epochs(tmp_path) == ["epoch-0003", "epoch-0004-last"]
    assert trained(fitted[0], windows) == 0


def test_one_that_begins_takes_the_file_of_another_for_a_leftover(windows, tmp_path, monkeypatch):
    straight = four_epochs().fit(*windows)
    true, n_calls = os.replace, 0

    def replace(source, target):
        nonlocal n_calls
        n_calls += 1
        if n_calls % 2:
            os.unlink(source)
        return true(source, target)

    monkeypatch.setattr(os, "replace", replace)
    model = four_epochs(checkpoint=tmp_path)
    assert trained(model, windows) == 4
    assert n_calls == 8
    assert_same_fit(model, straight, windows[0])
    assert epochs(tmp_path) == ["epoch-0003", "epoch-0004-last"]


@pytest.mark.parametrize(("at", "left"), [(1, []), (3, []), (3, ["tmp-left"])])
def test_killed_while_an_epoch_is_stored(windows, tmp_path, monkeypatch, at, left):
    true, n_calls = os.replace, 0

    def die(source, target):
        nonlocal n_calls
        n_calls += 1
        if n_calls == at:
            for name in left:  # by a process that cannot clean up
                shutil.copy(source, source.with_name(name))
            raise stored_fits.Killed
        true(source, target)

    model = four_epochs(checkpoint=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(stored_fits.Killed):
            model.fit(*windows)
    assert epochs(tmp_path) == [*["epoch-0001", "epoch-0002"][: at - 1], *left]
    assert trained(model, windows) == 5 - at
    assert_same_fit(model, four_epochs().fit(*windows), windows[0])
    assert epochs(tmp_path) == ["epoch-0003", "epoch-0004-last"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_while_a_thread_reads(windows, tmp_path, monkeypatch):
    model = four_epochs(checkpoint=tmp_path).fit(*windows)
    load, reads = torch.load, threading.Event()

    def slow_load(*args, **kwargs):
        reads.set()
        time.sleep(0.2)
        return load(*args, **kwargs)

    monkeypatch.setattr(torch, "load", slow_load)
    thread = threading.Thread(target=trained, args=(model, windows))
    thread.start()
    reads.wait()
    pid = os.fork()
    if not pid:
        signal.alarm(10)
        os._exit(trained(four_epochs(checkpoint=tmp_path), windows))
    assert os.waitpid(pid, 0)[1] == 0
    thread.join()
