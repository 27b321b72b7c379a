"""Blocks, walk-forward folds and backtest paths against purgedcv's and skfolio's."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_predict, cross_validate

from skattn.metrics import ic_score
from skattn.model_selection import (
    CombinatorialPurgedDailyKFold,
    DailyTimeSeriesSplit,
    PurgedDailyKFold,
)

counts = {"purge": st.integers(0, 5), "embargo": st.integers(0, 4), "n_days": st.integers(12, 60)}


def calendar(n_days: int) -> pd.DatetimeIndex:
    """With one row a day, the rows of a fold are its days."""
    return pd.date_range("2024-01-01", periods=n_days)


def times(n_days: int, purge: int) -> dict[str, pd.Series]:
    """Say to purgedcv that a label reaches `purge` days ahead: its intervals exclude their end."""
    days = calendar(n_days).to_series()
    return {"prediction_times": days, "evaluation_times": days + pd.Timedelta(days=purge + 1)}


def assert_same_folds(ours, theirs) -> None:
    ours, theirs = list(ours), list(theirs)
    assert len(ours) == len(theirs)
    for (train, test), (their_train, their_test) in zip(ours, theirs, strict=True):
        assert_array_equal(train, their_train)
        assert_array_equal(test, their_test)


def split_or_skip(cv, days: pd.DatetimeIndex):
    """Folds; where one has no day to train on, we raise and the others give it empty."""
    try:
        return list(cv.split(days, groups=days))
    except ValueError:
        assume(False)


@settings(max_examples=25, deadline=None)
@given(n_splits=st.integers(2, 6), **counts)
def test_k_fold_is_purgedcv(n_splits: int, purge: int, embargo: int, n_days: int) -> None:
    purgedcv = pytest.importorskip("purgedcv")
    ours = split_or_skip(PurgedDailyKFold(n_splits, purge=purge, embargo=embargo), calendar(n_days))
    # purgedcv counts an embargo from the test's last day, not from the end of the purge.
    observations = purge + embargo if embargo else None
    theirs = purgedcv.PurgedKFold(
        n_splits, embargo_observations=observations, **times(n_days, purge)
    )
    assert_same_folds(ours, theirs.split(np.zeros((n_days, 1))))


@settings(max_examples=25, deadline=None)
@given(n_folds=st.integers(2, 6), n_test_folds=st.integers(1, 3), **counts)
def test_combinatorial_is_purgedcv(n_folds, n_test_folds, purge, embargo, n_days) -> None:
    purgedcv = pytest.importorskip("purgedcv")
    assume(n_test_folds < n_folds)
    cv = CombinatorialPurgedDailyKFold(n_folds, n_test_folds, purge=purge, embargo=embargo)
    days = calendar(n_days)
    ours = split_or_skip(cv, days)
    observations = purge + embargo if embargo else None
    theirs = purgedcv.CombinatorialPurgedCV(
        n_folds, n_test_folds, embargo_observations=observations, **times(n_days, purge)
    )
    assert cv.n_splits == theirs.get_n_splits()
    assert_same_folds(ours, theirs.split(np.zeros((n_days, 1))))
    rng = np.random.default_rng(0)
    predictions = [rng.standard_normal(len(test)) for _, test in ours]
    paths = cv.reconstruct_paths(predictions, groups=days)
    assert_array_equal(paths.to_numpy().T, theirs.reconstruct_paths(predictions))


@settings(max_examples=25, deadline=None)
@given(
    n_splits=st.integers(2, 5),
    test_size=st.integers(1, 5),
    max_train_size=st.none() | st.integers(1, 20),
    **counts,
)
def test_walk_forward_is_purgedcv(
    n_splits, test_size, max_train_size, purge, embargo, n_days
) -> None:
    purgedcv = pytest.importorskip("purgedcv")
    cv = DailyTimeSeriesSplit(
        n_splits, test_size=test_size, max_train_size=max_train_size, purge=purge
    )
    ours = split_or_skip(cv, calendar(n_days))
    theirs = purgedcv.WalkForwardSplit(
        n_splits,
        test_size,
        train_size=max_train_size,
        window="expanding" if max_train_size is None else "sliding",
        # Without effect there: it is about days after the test of the same fold.
        embargo_observations=embargo,
        **times(n_days, purge),
    )
    assert_same_folds(ours, theirs.split(np.zeros((n_days, 1))))


@settings(max_examples=25, deadline=None)
@given(
    n_folds=st.integers(3, 6),
    n_test_folds=st.integers(2, 4),
    fold_size=st.integers(4, 12),
    purge=st.integers(0, 4),
    embargo=st.integers(0, 4),
)
def test_combinatorial_is_skfolio(n_folds, n_test_folds, fold_size, purge, embargo) -> None:
    skfolio = pytest.importorskip("skfolio.model_selection")
    # skfolio puts all left-over days into the last fold, and asks for folds longer than this.
    assume(n_test_folds < n_folds and purge + embargo < fold_size - 1)
    days = calendar(n_folds * fold_size)
    cv = CombinatorialPurgedDailyKFold(n_folds, n_test_folds, purge=purge, embargo=embargo)
    theirs = skfolio.CombinatorialPurgedCV(n_folds, n_test_folds, purge, embargo)
    assert cv.n_splits == theirs.n_splits
    assert cv.n_test_paths == theirs.n_test_paths
    ours = split_or_skip(cv, days)
    folds = theirs.split(np.zeros((len(days), 1)))
    assert_same_folds(ours, ((train, np.concatenate(tests)) for train, tests in folds))
    # Each split predicts its number: the paths tell which splits they are made of.
    predictions = [np.full(len(test), number) for number, (_, test) in enumerate(ours)]
    paths = cv.reconstruct_paths(predictions, groups=days)
    assert_array_equal(paths.to_numpy()[::fold_size], theirs.recombined_paths)


@settings(max_examples=25, deadline=None)
@given(
    n_splits=st.integers(2, 5),
    test_size=st.integers(1, 5),
    train_size=st.integers(1, 20),
    purge=st.integers(0, 4),
    gap=st.integers(0, 3),
    is_rolling=st.booleans(),
)
def test_walk_forward_is_skfolio(n_splits, test_size, train_size, purge, gap, is_rolling) -> None:
    skfolio = pytest.importorskip("skfolio.model_selection")
    # skfolio counts from the first day and we from the last: here both use all days.
    days = calendar(train_size + purge + gap + n_splits * test_size)
    theirs = skfolio.WalkForward(
        test_size, train_size, purged_size=purge + gap, expand_train=not is_rolling
    )
    ours = DailyTimeSeriesSplit(
        n_splits,
        test_size=test_size,
        max_train_size=train_size if is_rolling else None,
        purge=purge,
        gap=gap,
    )
    assert_same_folds(ours.split(days, groups=days), theirs.split(np.zeros((len(days), 1))))


@pytest.fixture(scope="module")
def labelled(market):
    """Two features and the label, rows that have one, shuffled."""
    known = market.label.dropna().sample(frac=1, random_state=0)
    signal = market.signal.reindex(known.index)
    noise = np.random.default_rng(0).standard_normal(len(known)) * signal.std()
    return pd.DataFrame({"signal": signal, "noise": noise}), known


def predictions_of_splits(cv, X, y):
    result = cross_validate(Ridge(), X, y, cv=cv, return_estimator=True, return_indices=True)
    return result["indices"], [
        model.predict(X.iloc[rows])
        for model, rows in zip(result["estimator"], result["indices"]["test"], strict=True)
    ]


def test_every_row_once_in_every_path(labelled) -> None:
    X, y = labelled
    cv = CombinatorialPurgedDailyKFold(5, 3)
    indices, predictions = predictions_of_splits(cv, X, y)
    paths = cv.reconstruct_paths(predictions, X)
    assert paths.index is X.index or paths.index.equals(X.index)
    assert paths.shape == (len(X), cv.n_test_paths) == (len(X), comb(4, 2))
    assert paths.columns.equals(pd.RangeIndex(6, name="path"))
    # The paths together use each prediction of each split once.
    by_row = pd.concat(
        [pd.Series(p, rows) for p, rows in zip(predictions, indices["test"], strict=True)]
    )
    expected = by_row.groupby(level=0).apply(lambda values: sorted(values)).tolist()
    assert_array_equal(np.sort(paths.to_numpy(), axis=1), expected)
    assert paths.apply(lambda path: ic_score(y, path)).between(-1, 1).all()


def test_one_test_fold_is_k_fold(labelled) -> None:
    X, y = labelled
    cv = CombinatorialPurgedDailyKFold(5, 1)
    _, predictions = predictions_of_splits(cv, X, y)
    paths = cv.reconstruct_paths(predictions, X)
    assert_allclose(paths[0], cross_val_predict(Ridge(), X, y, cv=PurgedDailyKFold(5)))


def test_days_of_paths_from_groups(labelled) -> None:
    X, y = labelled
    cv = CombinatorialPurgedDailyKFold(4)
    _, predictions = predictions_of_splits(cv, X, y)
    paths = cv.reconstruct_paths(predictions, X)
    days = X.index.get_level_values("datetime")
    for actual in (
        cv.reconstruct_paths(predictions, X.to_numpy(), groups=days),
        cv.reconstruct_paths(predictions, groups=days),
    ):
        assert_frame_equal(actual, paths.reset_index(drop=True))


def test_indexed_predictions_must_be_of_the_test_rows(labelled) -> None:
    X, y = labelled
    cv = CombinatorialPurgedDailyKFold(4)
    indices, predictions = predictions_of_splits(cv, X, y)
    indexed = [
        pd.Series(p, X.index[rows]) for p, rows in zip(predictions, indices["test"], strict=True)
    ]
    expected = cv.reconstruct_paths(predictions, X)
    assert_frame_equal(cv.reconstruct_paths(indexed, X), expected)
    indexed[2] = indexed[2].sort_index()
    with pytest.raises(
        ValueError, match=r"X\[test\] and predictions\[2\].*predictions\[2\]\.reindex"
    ):
        cv.reconstruct_paths(indexed, X)


def test_wrong_predictions(labelled) -> None:
    X, y = labelled
    cv = CombinatorialPurgedDailyKFold(4)
    _, predictions = predictions_of_splits(cv, X, y)
    with pytest.raises(ValueError, match=r"predictions.*\b6\b.*\b5\b"):
        cv.reconstruct_paths(predictions[:-1], X)
    n_rows = len(predictions[1])
    predictions[1] = predictions[1][:-1]
    message = rf"predictions\[1\].*\b{n_rows - 1}\b.*\b{n_rows}\b"
    with pytest.raises(ValueError, match=message):
        cv.reconstruct_paths(predictions, X)
    with pytest.raises(ValueError, match=r"\bX\b.*datetime.*\bdays\b"):
        cv.reconstruct_paths(predictions, X.to_numpy())


@pytest.mark.parametrize(
    ("predictions", "error", "message"),
    [
        (None, TypeError, r"predictions\b.*NoneType"),
        ((array for array in []), TypeError, r"predictions\b.*generator"),
        (dict.fromkeys(range(6), [0.0] * 6), TypeError, r"predictions\b.*\bdict\b"),
        ("012345", ValueError, r"predictions\[0\].*\(\)"),
        ([0.0] * 6, ValueError, r"predictions\[0\].*\(\)"),
        ([[0.0] * 6, None, *[[0.0] * 6] * 4], ValueError, r"predictions\[1\].*\(\)"),
        ([["a"] * 6] * 6, ValueError, r"predictions\[0\].*'a'"),
        (np.zeros((6, 6, 2)), ValueError, r"predictions\[0\].*\(6, 2\)"),
        ([calendar(6)] * 6, TypeError, r"predictions\[0\].*datetime64"),
    ],
    ids=["None", "generator", "dict", "str", "numbers", "one None", "text", "2-D", "dates"],
)
def test_predictions_of_another_kind(predictions, error, message: str) -> None:
    days = calendar(12)
    cv = CombinatorialPurgedDailyKFold(4)
    with pytest.raises(error, match=message):
        cv.reconstruct_paths(predictions, groups=days)
    assert cv.reconstruct_paths(np.ones((6, 6)), groups=days).eq(1).all(axis=None)
