"""Progress bars: in a terminal of 80 columns, in a notebook, and where the output is neither."""

from __future__ import annotations

import io
import os
import pickle
import re
import sys
import textwrap
import threading
from types import SimpleNamespace

import joblib
import pytest
from sklearn.callback import AutoPropagatedCallback, FitCallback
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skattn import ALSTMRegressor
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.preprocessing import Alpha360, RobustZScore
from skattn.progress import ProgressBar

SEARCH = """
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skattn import ALSTMRegressor
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.preprocessing import Alpha360, RobustZScore
from skattn.progress import ProgressBar

cv = DailyTimeSeriesSplit(2)
market = make_market(n_stocks=10, n_days=400, sector=0, random_state=0)
model = CrossSectionalTarget(ALSTMRegressor(hidden_size=8, max_epochs=8, random_state=0))
pipeline = make_pipeline(Alpha360(["close"], length=10), RobustZScore(), model)
sizes = {"crosssectionaltarget__regressor__hidden_size": [8, 16]}
search = GridSearchCV(pipeline, sizes, cv=cv, scoring=ic_scorer, n_jobs=N_JOBS)
search.set_callbacks(ProgressBar()).fit(market.ohlcv, market.label)
"""


@pytest.fixture(scope="module")
def market():
    return make_market(n_stocks=5, n_days=100, sector=0, random_state=0)


def make_model(**params):
    alstm = ALSTMRegressor(**{"hidden_size": 4, "max_epochs": 2, "random_state": 0, **params})
    return make_pipeline(Alpha360(["close"], length=5), RobustZScore(), CrossSectionalTarget(alstm))


def make_search(**params):
    sizes = {"crosssectionaltarget__regressor__hidden_size": [4, 8]}
    return GridSearchCV(make_model(**params), sizes, cv=DailyTimeSeriesSplit(2), scoring=ic_scorer)


def run_in_terminal(code: str, columns: int) -> str:
    """Run code as a script at a pseudoterminal; give all that it wrote there."""
    pty = pytest.importorskip("pty")
    pid, terminal = pty.fork()
    if pid == 0:
        size = {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm-256color"}
        own = {"CI", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
        environment = {name: value for name, value in os.environ.items() if name not in own} | size
        os.execve(sys.executable, [sys.executable, "-c", code], environment)
    written = b""
    while True:
        try:
            some = os.read(terminal, 65536)
        except OSError:  # Linux: the script has ended
            some = b""
        if not some:
            break
        written += some
    assert os.waitpid(pid, 0)[1] == 0, written.decode()
    return written.decode()


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook displays, by the identity of the output, where fits think they are in one."""
    outputs: dict[str, list] = {}

    def display(data, *, raw, display_id):
        assert raw
        outputs.setdefault(display_id, []).append(data)

    shown = SimpleNamespace(display=display, update_display=display)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=shown))
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("skattn.progress.PAUSE", 0.0)
    return outputs


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_bars_of_a_search_fit_eighty_columns(n_jobs):
    written = run_in_terminal(SEARCH.replace("N_JOBS", str(n_jobs)), 80)
    # Each picture begins by deleting the lines of the one before.
    pictures = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", each) for each in written.split("\x1b[2K")]
    lines = [line for each in pictures for line in each.replace("\r", "").splitlines() if line]
    assert lines
    for line in lines:
        assert len(line) <= 80
        assert re.fullmatch(
            r" *\w+( \d/\d)? +[━╸╺]{30,} +(\d+%)? *((took )?\d:..:..( left)?)? *", line
        )
    names = {line.split("━")[0].rstrip(" ╸╺") for line in lines}
    assert {"GridSearchCV", "  search 1/2"} <= names
    assert any(name.startswith("    Pipeline ") for name in names)
    assert "      ALSTMRegressor" in names
    # What is left in the end is one line.
    assert re.search(r"GridSearchCV +━+ 100% took 0:00:\d\d", lines[-1])


@pytest.mark.parametrize("variable", ["CI", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"])
def test_nothing_is_printed_where_the_output_is_no_terminal(market, capfd, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    make_search().set_callbacks(ProgressBar()).fit(market.ohlcv, market.label)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_workers_print_no_bars_of_their_own():
    cross_validate = SEARCH.rsplit("search = ", 1)[0] + textwrap.dedent("""
        from sklearn.model_selection import cross_val_score
        pipeline.set_callbacks(ProgressBar())
        cross_val_score(
            pipeline, market.ohlcv, market.label, cv=cv, scoring=ic_scorer, n_jobs=2
        )
    """)
    assert "━" not in run_in_terminal(cross_validate, 80)


def test_a_notebook_has_one_output_that_changes(market, notebook, capfd):
    make_search(max_epochs=3).set_callbacks(ProgressBar()).fit(market.ohlcv, market.label)
    (pictures,) = notebook.values()
    words = [picture["text/plain"] for picture in pictures]
    # One of four fits has ended; of the second, two of three steps and one of three epochs.
    assert any(
        re.fullmatch(
            r"GridSearchCV 22% 0:00:..\n  search 1/2 44%\n"
            r"    Pipeline 2/4 78%\n      ALSTMRegressor 33%",
            each,
        )
        for each in words
    ), words
    assert re.fullmatch(r"GridSearchCV 100% took 0:00:..", words[-1])
    assert pictures[-1]["text/html"].count("<progress") == 1
    assert '<progress value="1.000">' in pictures[-1]["text/html"]
    assert capfd.readouterr() == ("", "")


def test_folds_of_a_signal_are_counted(market, notebook):
    model = make_model().set_callbacks(ProgressBar())
    cross_val_signal(model, market.ohlcv, market.label, cv=DailyTimeSeriesSplit(3))
    (pictures,) = notebook.values()
    words = "\n".join(picture["text/plain"] for picture in pictures)
    assert [f"  Pipeline {fold}/3 " in words for fold in (1, 2, 3, 4)] == [True, True, True, False]
    assert "CrossValSignal 33%" in words
    assert "CrossValSignal 100% took" in words


def test_depth_leaves_out_what_is_deeper(market, notebook):
    make_search().set_callbacks(ProgressBar(0)).fit(market.ohlcv, market.label)
    (pictures,) = notebook.values()
    words = "\n".join(picture["text/plain"] for picture in pictures)
    assert "Pipeline" not in words
    assert "GridSearchCV 25%" in words  # two of four fits, then the fit of the best


def test_a_fit_that_fails_leaves_its_bars_and_its_error(market, notebook):
    model = make_model(lr=1e30).set_callbacks(ProgressBar())
    with pytest.raises(ValueError, match="Training diverged"):
        model.fit(market.ohlcv, market.label)
    (pictures,) = notebook.values()
    assert "ALSTMRegressor" in pictures[-1]["text/plain"]
    assert "took" not in pictures[-1]["text/plain"]
    # The next fit has an output of its own.
    model.set_params(crosssectionaltarget__regressor__lr=1e-3).fit(market.ohlcv, market.label)
    assert len(notebook) == 2


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_fits_of_a_search_that_fail_are_counted(market, notebook):
    rates = {"crosssectionaltarget__regressor__lr": [1e30, 1e-3]}
    search = make_search().set_params(param_grid=rates).set_callbacks(ProgressBar())
    with pytest.warns(FitFailedWarning, match="2 fits"):
        search.fit(market.ohlcv, market.label)
    (pictures,) = notebook.values()
    words = [picture["text/plain"] for picture in pictures]
    assert all(each.count("Pipeline") <= 1 for each in words)
    third = next(each for each in words if "Pipeline 3/4" in each)
    assert "  search 1/2 50%" in third
    assert re.fullmatch(r"GridSearchCV 100% took 0:00:..", words[-1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process is forked")
def test_forked_workers_are_shown(market, notebook):
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        make_search().set_callbacks(ProgressBar()).fit(market.ohlcv, market.label)
    (pictures,) = notebook.values()
    words = "\n".join(picture["text/plain"] for picture in pictures)
    assert "Pipeline 1/4" in words


def test_two_callbacks_have_bars_of_their_own(market, notebook):
    make_model().set_callbacks(ProgressBar(), ProgressBar(0)).fit(market.ohlcv, market.label)
    assert len(notebook) == 2
    for pictures in notebook.values():
        assert re.fullmatch(r"Pipeline 100% took 0:00:..", pictures[-1]["text/plain"])


def test_a_worker_that_cannot_reach_the_bars_fits_all_the_same(market, monkeypatch):
    def refuse(*arguments):
        raise ConnectionRefusedError

    monkeypatch.setattr("skattn.progress.send", refuse)
    fitted = make_model().set_callbacks(ProgressBar()).fit(market.ohlcv, market.label)
    assert len(fitted.predict(market.ohlcv)) == len(market.ohlcv)


def test_a_terminal_that_goes_away_fails_no_fit(market, monkeypatch):
    gone = []

    class Terminal(io.StringIO):
        def isatty(self):
            return True

        def write(self, text):
            if gone and threading.current_thread() is threading.main_thread():
                gone.append(text)
                raise OSError("Input/output error")
            return super().write(text)

    class GoesAway(Callback):
        def on_train_end(self, net, **kwargs):
            gone.append("")

    for variable in ("CI", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    model = make_model(callbacks=[GoesAway()]).set_callbacks(ProgressBar())
    assert len(model.fit(market.ohlcv, market.label).predict(market.ohlcv)) == len(market.ohlcv)
    assert len(gone) > 1


@pytest.mark.slow
def test_a_real_notebook():
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    # The value of the last expression would be an output of its own.
    cell = nbformat.v4.new_code_cell(SEARCH.replace("N_JOBS", "2").rstrip() + ";")
    nbclient.NotebookClient(nbformat.v4.new_notebook(cells=[cell])).execute()
    # Worker processes may warn on stderr.
    (output,) = [each for each in cell.outputs if each.get("name") != "stderr"]
    assert re.fullmatch(r"GridSearchCV 100% took 0:00:..", output.data["text/plain"])
    assert "<progress" in output.data["text/html"]


def test_the_callback_is_what_scikit_learn_asks_for(market):
    bar = ProgressBar(max_propagation_depth=2)
    assert isinstance(bar, FitCallback)
    assert isinstance(bar, AutoPropagatedCallback)
    fitted = make_model().set_callbacks(bar).fit(market.ohlcv, market.label)
    assert pickle.loads(pickle.dumps(bar)).max_propagation_depth == 2
    assert len(pickle.loads(pickle.dumps(fitted)).predict(market.ohlcv)) == len(market.ohlcv)


@pytest.mark.parametrize("depth", [-1, 1.5, "all", True])
def test_bad_depths(depth):
    with pytest.raises(ValueError, match=rf"max_propagation_depth.*{depth}"):
        ProgressBar(depth)
