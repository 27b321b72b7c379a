"""TrainingDisplay shows what fits have recorded."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers import small_alstm
from numpy.testing import assert_allclose
from sklearn.callback import ScoringMonitor
from sklearn.ensemble import BaggingRegressor, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import StepLR

from skattn.compose import CrossSectionalTarget
from skattn.inspection import TrainingDisplay, epoch_values
from skattn.model_selection import PurgedDailyKFold
from skattn.models import GRURegressor
from skattn.preprocessing import Alpha360, RobustZScore

LOSSES = ["train_loss", "valid_loss"]


def small(**params) -> GRURegressor:
    return GRURegressor(**{"hidden_size": 4, "max_epochs": 4, "random_state": 0, **params})


def labels_of(display: TrainingDisplay) -> list[str]:
    return [" ".join(ax.get_ylabel().split()) for ax in display.ax_]


def legend_of(display: TrainingDisplay) -> list[str]:
    (legend,) = [ax.get_legend() for ax in display.figure_.axes if ax.get_legend()]
    return [text.get_text() for text in legend.get_texts()]


def overlaps(figure) -> list[tuple[str, str]]:
    """Texts that lie over each other, or are cut at the edge of the figure."""
    figure.canvas.draw()
    texts = []
    for ax in figure.axes:
        legend = ax.get_legend()
        texts += [] if legend is None else legend.get_texts()
        if ax.axison:
            texts += [ax.title, ax.xaxis.label, ax.yaxis.label]
            for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
                for tick in axis.get_major_ticks():
                    if limits[0] <= tick.get_loc() <= limits[1] and tick.label1.get_visible():
                        texts.append(tick.label1)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    assert len(boxes) > 5
    bad = [(a, b) for i, (a, x) in enumerate(boxes) for b, y in boxes[i + 1 :] if x.overlaps(y)]
    width, height = figure.bbox.max
    return bad + [
        (text, "the edge")
        for text, box in boxes
        if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height
    ]


@pytest.mark.parametrize("monitor", ["valid_loss", "valid_rank_ic"])
def test_one_fit_shows_its_history_and_its_best_epoch(windows, monitor):
    model = small(lr=0.02, monitor=monitor).fit(*windows)
    display = TrainingDisplay.from_estimator(model)
    history = model.history_
    assert_allclose(display.history[LOSSES], history[LOSSES])
    best = history[monitor].argmin() if monitor == "valid_loss" else history[monitor].argmax()
    assert list(np.flatnonzero(display.history["is_best"])) == [best]
    scores = [] if monitor == "valid_loss" else ["validation rank IC"]
    assert labels_of(display) == ["loss (mean squared error)", *scores, "learning rate"]
    train, valid = [line for line in display.ax_[0].get_lines() if len(line.get_xdata()) == 4]
    assert_allclose(train.get_ydata(), history["train_loss"])
    assert_allclose(valid.get_ydata(), history["valid_loss"])
    assert legend_of(display) == ["training", "validation", f"best epoch: {best + 1}"]
    for ax in display.ax_:
        assert [best + 1] * 2 in [list(line.get_xdata()) for line in ax.get_lines()]
    assert display.ax_[-1].get_xlabel() == "epoch"
    assert display.ax_[0].get_title() == "GRURegressor"
    assert display.figure_ is display.ax_[0].figure


def test_the_learning_rate_is_that_of_each_epoch(windows):
    scheduler = LRScheduler(StepLR, step_size=1, gamma=0.1)
    model = small(lr=0.1, callbacks=[scheduler]).fit(*windows)
    assert_allclose(model.history_["lr"], [1e-1, 1e-2, 1e-3, 1e-4])
    display = TrainingDisplay.from_estimator(model)
    assert display.ax_[-1].get_yscale() == "log"
    assert_allclose(display.ax_[-1].get_lines()[0].get_ydata(), [1e-1, 1e-2, 1e-3, 1e-4])


def test_the_learning_rate_is_not_printed(windows, capsys):
    small(verbose=1).fit(*windows)
    header = capsys.readouterr().out.splitlines()[0].split()
    assert header == ["epoch", "train_loss", "valid_loss", "dur"]


def test_through_pipeline_search_and_target(market):
    pipeline = make_pipeline(Alpha360(length=5), RobustZScore(), small(max_epochs=2))
    fits = [
        pipeline.fit(market.ohlcv, market.label),
        CrossSectionalTarget(pipeline).fit(market.ohlcv, market.label),
        GridSearchCV(
            CrossSectionalTarget(pipeline), {"method": ["rank"]}, cv=PurgedDailyKFold(2)
        ).fit(market.ohlcv, market.label),
    ]
    for fitted in fits:
        display = TrainingDisplay.from_estimator(fitted)
        assert list(display.history["epoch"]) == [1, 2]
        assert list(epoch_values(fitted)) == ["epoch", *LOSSES, "lr"]


def test_folds_and_seeds(windows):
    X, y = windows
    folds = cross_validate(small(), X, y, cv=PurgedDailyKFold(3), return_estimator=True)
    display = TrainingDisplay.from_estimators(folds["estimator"], name="folds")
    for number, model in enumerate(folds["estimator"], start=1):
        part = display.history[display.history["fit"] == f"fit {number}"]
        assert_allclose(part[LOSSES], model.history_[LOSSES])
        assert part["is_best"].sum() == 1
    assert labels_of(display) == [
        "training loss (mean squared error)",
        "validation loss (mean squared error)",
        "learning rate",
    ]
    assert legend_of(display) == ["fit 1", "fit 2", "fit 3", "mean of 3", "best epoch"]
    mean = [model.history_["valid_loss"] for model in folds["estimator"]]
    bold = max(display.ax_[1].get_lines(), key=lambda line: line.get_linewidth())
    assert_allclose(bold.get_ydata(), np.mean(mean, axis=0))
    assert not overlaps(display.figure_)
    seeds = {f"seed {seed}": small(random_state=seed).fit(X, y) for seed in range(2)}
    display = TrainingDisplay.from_estimators(seeds)
    assert legend_of(display) == ["seed 0", "seed 1", "best epoch"]


def test_the_mean_ends_where_the_first_fit_ends(windows):
    fits = [small(max_epochs=epochs).fit(*windows) for epochs in (2, 3, 4)]
    display = TrainingDisplay.from_estimators(fits)
    bold = max(display.ax_[0].get_lines(), key=lambda line: line.get_linewidth())
    assert np.isfinite(bold.get_ydata()).tolist() == [True, True, False, False]


def test_members_of_an_ensemble(windows):
    X, y = windows
    vote = VotingRegressor([("a", small()), ("out", "drop"), ("b", small(random_state=1))])
    flat = X[:, :, 0]
    vote.fit(flat, y.to_numpy())
    bag = BaggingRegressor(small(max_epochs=2), n_estimators=2).fit(flat, y.to_numpy())
    display = TrainingDisplay.from_estimators(vote)
    assert list(display.history["fit"].unique()) == ["a", "b"]
    display = TrainingDisplay.from_estimators(bag)
    assert list(display.history["fit"].unique()) == ["fit 1", "fit 2"]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_candidates_of_a_search(market, n_jobs):
    monitor = ScoringMonitor(scoring=epoch_values)
    model = small(max_epochs=2, monitor="valid_ic").set_callbacks(monitor)
    pipeline = make_pipeline(Alpha360(length=5), RobustZScore(), model)
    grid = {"gruregressor__lr": [0.001, 0.01], "gruregressor__max_epochs": [2, 3]}
    search = GridSearchCV(pipeline, grid, cv=PurgedDailyKFold(2), scoring="r2", n_jobs=n_jobs)
    search.fit(market.ohlcv, market.label)
    display = TrainingDisplay.from_log(monitor, search=search)
    table = display.history.set_index("fit")
    names = [
        f"lr={lr}, max_epochs={epochs}, fold {fold}"
        for lr in (0.001, 0.01)
        for epochs in (2, 3)
        for fold in (1, 2)
    ]
    assert list(table.index.unique()) == [*names, "refit"]
    refit = search.best_estimator_[-1].history_
    assert_allclose(
        table.loc["refit", [*LOSSES, "valid_ic", "lr"]], refit[[*LOSSES, "valid_ic", "lr"]]
    )
    # Each candidate is what its parameters train on the rows of its fold.
    (train, _), _ = PurgedDailyKFold(2).split(market.ohlcv, market.label)
    again = copy.deepcopy(pipeline).set_params(gruregressor__lr=0.01, gruregressor__max_epochs=3)
    again[-1].set_callbacks()
    again.fit(market.ohlcv.iloc[train], market.label.iloc[train])
    found = table.loc["lr=0.01, max_epochs=3, fold 1"]
    assert_allclose(found[LOSSES], again[-1].history_[LOSSES])
    best = again[-1].history_["valid_ic"].idxmax()
    assert found.loc[found["is_best"], "epoch"].tolist() == [best]
    assert labels_of(display) == [
        "training loss",
        "validation loss",
        "validation IC",
        "learning rate",
    ]
    numbered = TrainingDisplay.from_log(monitor.get_logs())
    assert list(numbered.history["fit"].unique()) == [f"fit {i}" for i in range(1, 10)]


def test_candidates_of_a_halving_search(windows):
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV

    monitor = ScoringMonitor(scoring=epoch_values)
    search = HalvingGridSearchCV(
        small().set_callbacks(monitor),
        {"lr": [0.1, 0.01]},
        cv=PurgedDailyKFold(2),
        scoring="r2",
        resource="max_epochs",
        min_resources=1,
        max_resources=2,
        factor=2,
    ).fit(*windows)
    display = TrainingDisplay.from_log(monitor, search=search)
    lengths = display.history.groupby("fit", sort=False)["epoch"].max().to_dict()
    first = {f"lr={lr}, max_epochs=1, fold {fold}": 1 for lr in (0.1, 0.01) for fold in (1, 2)}
    best = search.best_params_["lr"]
    second = {f"lr={best}, max_epochs=2, fold {fold}": 2 for fold in (1, 2)}
    assert lengths == {**first, **second, "refit": 2}


def test_a_score_of_scikit_learn_is_drawn_by_its_name(windows):
    monitor = ScoringMonitor(scoring="r2")
    model = small().set_callbacks(monitor).fit(*windows)
    display = TrainingDisplay.from_log(monitor)
    assert labels_of(display) == ["r2"]
    assert list(display.history["fit"].unique()) == ["GRURegressor"]
    assert len(display.history) == model.n_iter_
    assert not display.history["is_best"].any()


def test_dollars_are_no_formulas(windows):
    fit = small(max_epochs=1).fit(*windows)
    display = TrainingDisplay.from_estimators({"$x_y_z$": fit, "_b": fit}, name="$a_b_c$")
    display.figure_.canvas.draw()
    assert legend_of(display)[:2] == [r"\$x_y_z\$", " _b"]


def test_many_fits_have_few_names(windows):
    model = small(max_epochs=2).fit(*windows)
    display = TrainingDisplay.from_estimators({f"seed {i} of a model": model for i in range(37)})
    names = legend_of(display)
    assert names[:10] == [f"seed {i} of a model" for i in range(10)]
    assert names[10:] == ["and 27 more", "mean of 37", "best epoch"]
    assert not overlaps(display.figure_)


@pytest.mark.parametrize("width", [5, 12])
def test_nothing_overlaps_in_axes_of_the_user(windows, pyplot, width):
    model = small(monitor="valid_ic").fit(*windows)
    figure, ax = pyplot.subplots(figsize=(width, 6), layout="constrained")
    names = [f"a rather long name of candidate {i}, hidden_size=64, lr=0.001" for i in range(6)]
    TrainingDisplay.from_estimators(dict.fromkeys(names, model), ax=ax, name="fits " * 20)
    assert not overlaps(figure)


def without_validation(windows):
    return small(early_stopping=False).fit(*windows)


def partly(windows):
    model = small()
    return model.partial_fit(*windows).partial_fit(*windows)


def one_epoch(windows):
    return small(max_epochs=1).fit(*windows)


def with_a_gap(windows):
    model = small().fit(*windows)
    model.history_.loc[2, "valid_loss"] = np.nan
    return model


def warm(windows):
    return small(warm_start=True, max_epochs=2).fit(*windows).fit(*windows)


@pytest.mark.parametrize(
    ("make", "epochs", "n_best", "n_axes"),
    [
        (without_validation, 4, 0, 2),
        (partly, 2, 0, 2),
        (one_epoch, 1, 1, 2),
        (with_a_gap, 4, 1, 2),
        (warm, 4, 1, 2),
    ],
)
def test_every_fit_can_be_drawn(windows, make, epochs, n_best, n_axes):
    display = TrainingDisplay.from_estimator(make(windows))
    assert len(display.history) == epochs
    assert display.history["is_best"].sum() == n_best
    assert len(display.ax_) == n_axes
    assert not overlaps(display.figure_)


def test_fits_of_older_versions_lack_the_learning_rate(windows):
    model = small().fit(*windows)
    model.history_ = model.history_.drop(columns="lr")
    assert labels_of(TrainingDisplay.from_estimator(model)) == ["loss (mean squared error)"]
    model.history_["event_lr"] = 0.25
    assert list(TrainingDisplay.from_estimator(model).history["lr"]) == [0.25] * 4
    mixed = TrainingDisplay.from_estimators([model, small().fit(*windows)])
    assert list(mixed.history["lr"]) == [0.25] * 4 + [0.001] * 4


def test_fits_with_different_losses_name_none(windows):
    fits = [small(loss=loss).fit(*windows) for loss in ("mse", "mae")]
    assert labels_of(TrainingDisplay.from_estimators(fits))[0] == "training loss"
    assert labels_of(TrainingDisplay.from_estimator(fits[1]))[0] == "loss (mean absolute error)"


def test_a_display_can_be_pickled_and_drawn_again(windows):
    display = TrainingDisplay.from_estimator(small().fit(*windows))
    again = TrainingDisplay(**{k: getattr(display, k) for k in ("history", "loss", "name")})
    again = pickle.loads(pickle.dumps(again)).plot()
    assert labels_of(again) == labels_of(display)


@pytest.mark.parametrize(
    ("estimators", "error", "message"),
    [
        ([], ValueError, "estimators is empty"),
        ({}, ValueError, "estimators is empty"),
        ("alstm", TypeError, "estimators must be a mapping of names"),
        (3, TypeError, "estimators must be a mapping of names"),
        (np.array(3), TypeError, "estimators must be a mapping of names"),
        ([Ridge().fit([[1.0], [2.0]], [1.0, 2.0])], TypeError, "'fit 1' cannot be drawn.*Ridge"),
        ([None], TypeError, "'fit 1' cannot be drawn"),
        ({1: "a"}, TypeError, "names that are str; got 1"),
        ([GRURegressor()], NotFittedError, "GRURegressor"),
    ],
)
def test_bad_estimators(pyplot, estimators, error, message):
    with pytest.raises(error, match=message):
        TrainingDisplay.from_estimators(estimators)
    assert not pyplot.get_fignums()


def test_bad_input_leaves_no_figure(windows, pyplot):
    model = small(max_epochs=1).fit(*windows)
    for estimator, error in [(GRURegressor(), NotFittedError), (Ridge, TypeError), (3, TypeError)]:
        with pytest.raises(error):
            TrainingDisplay.from_estimator(estimator)
        with pytest.raises(error):
            epoch_values(estimator)
    with pytest.raises(TypeError, match="name must be"):
        TrainingDisplay.from_estimator(model, name=3)
    with pytest.raises(ValueError, match="name must be text"):
        TrainingDisplay.from_estimators({"\ud800": model})
    with pytest.raises(TypeError, match="ax must be matplotlib Axes"):
        TrainingDisplay.from_estimator(model, ax=3)
    for history, message in [
        (3, "history must be a DataFrame"),
        (
            pd.DataFrame({"fit": ["a"], "epoch": [1]}),
            "history must be a DataFrame with the columns",
        ),
        (pd.DataFrame({"fit": ["a"], "epoch": [1], "is_best": [True]}), "nothing to draw"),
        (
            pd.DataFrame({"fit": ["a"] * 2, "epoch": [1, 1], "r2": [0, 1], "is_best": [0, 1]}),
            "one row for each epoch",
        ),
        (
            pd.DataFrame({"fit": ["a"], "epoch": [1], "r2": ["b"], "is_best": [True]}),
            "numbers in the column 'r2'",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            TrainingDisplay(history=history).plot()
    assert not pyplot.get_fignums()


def test_bad_logs(windows, pyplot):
    X, y = windows
    with pytest.raises(TypeError, match="log must be a sklearn"):
        TrainingDisplay.from_log([1])
    monitor = ScoringMonitor(scoring="r2")
    search = RandomizedSearchCV(
        small(max_epochs=1), {"lr": [0.1]}, n_iter=1, cv=PurgedDailyKFold(2)
    )
    search.set_callbacks(monitor).fit(X, y)
    with pytest.raises(ValueError, match="log has no epochs: set the ScoringMonitor on"):
        TrainingDisplay.from_log(monitor)
    monitor = ScoringMonitor(scoring=epoch_values)
    small().set_callbacks(monitor).fit(X, y)
    for other in (search, Ridge(), 3):
        with pytest.raises(ValueError, match="search must be the fitted search"):
            TrainingDisplay.from_log(monitor, search=other)
    assert not pyplot.get_fignums()


def test_no_matplotlib(windows, monkeypatch):
    model = small_alstm(max_epochs=1).fit(*windows)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"TrainingDisplay needs matplotlib.*skattn\[plot\]"):
        TrainingDisplay.from_estimator(model)
    with pytest.raises(ImportError, match=r"skattn\[plot\]"):
        TrainingDisplay.from_estimators([model])


def test_inspection_does_not_import_matplotlib():
    code = "import sys, skattn.inspection; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
