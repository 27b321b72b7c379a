"""Pictures of folds: what is drawn is what split gives."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from skattn.model_selection import (
    CombinatorialPurgedDailyKFold,
    DailyTimeSeriesSplit,
    DateSplit,
    PurgedDailyKFold,
    SplitDisplay,
)

DAYS = pd.bdate_range("2024-01-01", periods=80, name="datetime")
MARCH = ("2024-03-01", "2024-03-31")
CASES = {
    "walk-forward": (
        DailyTimeSeriesSplit(4, max_train_size=30, gap=2, embargo=1),
        ["train", "test", "purged", "gap", "embargoed"],
    ),
    "k-fold": (PurgedDailyKFold(4, embargo=3), ["train", "test", "purged", "embargoed"]),
    "combinatorial": (CombinatorialPurgedDailyKFold(5), ["train", "test", "purged"]),
    "test": (
        DateSplit((None, "2024-02"), MARCH, ("2024-04", None)),
        ["train", "valid", "test", "purged"],
    ),
    "valid": (
        DateSplit((None, "2024-02"), MARCH, ("2024-04", None), evaluate="valid"),
        ["train", "valid", "test", "purged"],
    ),
}


@pytest.fixture(scope="module", autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def test_roles_are_those_of_the_folds(case) -> None:
    cv, _ = case
    X = DAYS[::-1]
    roles = cv.plot(X, groups=X).roles
    assert roles.columns.equals(DAYS)
    tested = getattr(cv, "evaluate", None) or "test"
    folds = list(cv.split(X, groups=X))
    assert len(roles) == len(folds)
    for (_, row), (train, test) in zip(roles.iterrows(), folds, strict=True):
        assert set(DAYS[row == "train"]) == set(X[train])
        assert set(DAYS[row == tested]) == set(X[test])


def test_bars_and_legend_show_the_roles(case) -> None:
    from matplotlib import dates

    cv, roles = case
    display = cv.plot(DAYS, groups=DAYS)
    legend = display.ax_.get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert names == roles
    look = {
        (tuple(patch.get_facecolor()), patch.get_hatch()): name
        for patch, name in zip(legend.get_patches(), names, strict=True)
    }
    assert len(look) == len(names)
    # Read the roles off the picture.
    noon = dates.date2num(DAYS) + 0.5
    seen = pd.DataFrame("", display.roles.index, DAYS)
    for bars in display.ax_.collections:
        if (
            bars.get_hatch() is None
            and bars.get_facecolor().tolist() == bars.get_edgecolor().tolist()
        ):
            continue  # makes short bars wider
        role = look[tuple(bars.get_facecolor()[0]), bars.get_hatch()]
        for bar in bars.get_paths():
            (left, bottom), (right, top) = bar.get_extents().get_points()
            fold = round((bottom + top) / 2)
            seen.loc[fold, DAYS[(noon > left) & (noon < right)]] = role
    pd.testing.assert_frame_equal(seen, display.roles, check_names=False, check_dtype=False)


def test_axes() -> None:
    cv = PurgedDailyKFold(4, purge=1)
    display = cv.plot(DAYS, groups=DAYS)
    assert isinstance(display, SplitDisplay)
    ax = display.ax_
    assert display.figure_ is ax.figure
    assert ax.get_title() == repr(cv)
    assert ax.get_xlabel() == "Date"
    assert ax.get_ylabel() == "Fold"
    top, bottom = ax.transData.transform([(0, 0), (0, 3)])[:, 1]
    assert top > bottom
    display.figure_.canvas.draw()
    ticks = [tick for tick in ax.get_yticks() if 0 <= tick <= 3]
    assert ticks == [0, 1, 2, 3]


def test_in_given_axes(pyplot) -> None:
    _, (first, second) = pyplot.subplots(1, 2)
    n_figures = len(pyplot.get_fignums())
    display = PurgedDailyKFold(3).plot(DAYS, groups=DAYS, ax=first)
    assert display.ax_ is first
    assert display.plot(ax=second) is display
    assert display.ax_ is second
    assert len(first.collections) == len(second.collections) > 0
    assert len(pyplot.get_fignums()) == n_figures


def test_purge_from_labels() -> None:
    y = pd.Series(np.zeros(80), DAYS)
    y.attrs["reach"] = 5
    frame = y.to_frame("x")
    assert (PurgedDailyKFold(2).plot(frame, y).roles == "purged").to_numpy().sum() == 10


def test_needs_matplotlib(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "skattn\[plot\]"'):
        PurgedDailyKFold(2).plot(DAYS, groups=DAYS)


def test_no_axes() -> None:
    with pytest.raises(TypeError, match=r"\bax\b.*\b5\b"):
        PurgedDailyKFold(2).plot(DAYS, groups=DAYS, ax=5)


def test_errors_of_split() -> None:
    with pytest.raises(ValueError, match=r"PurgedDailyKFold\(\).*\b5\b.*\b3\b.*n_splits than 5"):
        PurgedDailyKFold().plot(DAYS[:3], groups=DAYS[:3])


@pytest.mark.parametrize("size", [(5, 4), (8, 6), (12, 8)])
def test_titles_and_legends_of_a_grid_have_room(pyplot, size) -> None:
    days = pd.bdate_range("2012-01-02", "2023-12-29")
    figure, axes = pyplot.subplots(2, 2, figsize=size, layout="constrained")
    splitters = [
        DailyTimeSeriesSplit(4, max_train_size=1000, gap=60, embargo=30, test_size=300),
        PurgedDailyKFold(embargo=pd.Timedelta(days=30)),
        CombinatorialPurgedDailyKFold(6, 3),
        DateSplit((None, days[999]), (days[1000], days[1999]), (days[2000], None)),
    ]
    for cv, ax in zip(splitters, axes.flat, strict=True):
        cv.plot(days, groups=days, ax=ax)
        assert (
            ax.get_title().replace("\n", "").replace(" ", "").startswith(repr(cv).replace(" ", ""))
        )
    figure.canvas.draw()
    boxes = [
        part.get_window_extent()
        for ax in axes.flat
        for part in (ax.title, ax.xaxis.label, ax.yaxis.label, ax.get_legend(), ax.patch)
    ]
    for number, box in enumerate(boxes):
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_many_folds_and_one() -> None:
    many = DailyTimeSeriesSplit(300, embargo=2)
    days = pd.bdate_range("2012-01-02", periods=1000)
    display = many.plot(days, groups=days)
    n_bars = sum(len(bars.get_paths()) for bars in display.ax_.collections)
    assert n_bars == sum(
        np.count_nonzero(np.diff(row.factorize()[0])) + 1 - (row == "").any()
        for _, row in display.roles.iterrows()
    )
    one = DateSplit((None, "2024-02"), test=("2024-03", None)).plot(DAYS, groups=DAYS)
    one.figure_.canvas.draw()
    assert [tick for tick in one.ax_.get_yticks() if -0.5 <= tick <= 0.5] == [0]


def test_the_title_tells_the_purge_that_auto_found() -> None:
    y = pd.Series(np.zeros(80), DAYS)
    title = PurgedDailyKFold(2).plot(y.to_frame(), y).ax_.get_title()
    assert title == "PurgedDailyKFold(n_splits=2), purge of 2 days"
    y.attrs["reach"] = 1
    title = PurgedDailyKFold(2).plot(y.to_frame(), y).ax_.get_title()
    assert title == "PurgedDailyKFold(n_splits=2), purge of 1 day"


def test_roles_that_there_are_not() -> None:
    roles = PurgedDailyKFold(2, purge=0).plot(DAYS, groups=DAYS).roles
    with pytest.raises(ValueError, match=r"train, valid.*; got 'trian'"):
        SplitDisplay(roles.replace("train", "trian"))


def test_no_figure_is_left_where_drawing_fails(pyplot, monkeypatch) -> None:
    display = PurgedDailyKFold(2, purge=0).plot(DAYS, groups=DAYS)
    before = pyplot.get_fignums()
    monkeypatch.setattr("skattn.model_selection._display.set_title", None)
    with pytest.raises(TypeError):
        display.plot()
    assert pyplot.get_fignums() == before
