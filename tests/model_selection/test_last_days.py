"""Labels that tell their own last day, and embargoes as a fraction or a span of time."""

from __future__ import annotations

import datetime
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import days_in, label_reaching, with_purge
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from purgedcv import CombinatorialPurgedCV, PurgedKFold
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsRegressor

from skattn.labels import make_label
from skattn.metrics import rank_ic_scorer, signal_report
from skattn.model_selection import (
    CombinatorialPurgedDailyKFold,
    DailyTimeSeriesSplit,
    DateSplit,
    PurgedDailyKFold,
)
from skattn.models import GRURegressor

N_DAYS = 30
CALENDAR = pd.bdate_range("2024-01-01", periods=N_DAYS, name="datetime")
INDEX = pd.MultiIndex.from_product([CALENDAR, ["A", "B", "C"]], names=["datetime", "instrument"])
SPLITTERS = {
    "walk-forward": DailyTimeSeriesSplit(3, gap=1),
    "k-fold": PurgedDailyKFold(4),
    "combinatorial": CombinatorialPurgedDailyKFold(5, 2),
    "dates": DateSplit((None, CALENDAR[14]), (CALENDAR[15], CALENDAR[20]), (CALENDAR[21], None)),
}


def last_days(reach: np.ndarray, index: pd.MultiIndex = INDEX) -> pd.Series:
    """The last day of labels that reach some business days ahead."""
    days = index.get_level_values("datetime").to_numpy().astype("datetime64[D]")
    return pd.Series(pd.DatetimeIndex(np.busday_offset(days, reach, roll="forward")), index)


def folds_of(cv, X, y=None, groups=None) -> list[tuple[list[int], list[int]]]:
    return [(train.tolist(), test.tolist()) for train, test in cv.split(X, y, groups)]


@pytest.mark.parametrize("reach", [0, 2, 4])
@pytest.mark.parametrize("name", SPLITTERS)
def test_a_constant_reach_is_a_number(name, reach):
    X, cv = pd.DataFrame({"x": 0.0}, INDEX), SPLITTERS[name]
    expected = folds_of(with_purge(cv, reach), X)
    last = last_days(np.full(len(INDEX), reach))
    assert folds_of(with_purge(cv, last), X) == expected
    # Rows are found by their index: in any order, of any order of levels, amid other rows.
    other = pd.concat([last, last.rename(lambda s: s + "'", level=1)])
    other = other.sample(frac=1, random_state=0).reorder_levels(["instrument", "datetime"])
    assert folds_of(with_purge(cv, other), X) == expected
    assert folds_of(with_purge(cv, other), X.to_numpy(), last) == expected
    by_row = last.reset_index(drop=True)
    assert folds_of(with_purge(cv, by_row), X.to_numpy(), groups=days_in(X)) == expected
    assert folds_of(with_purge(cv, last.astype("timestamp[us][pyarrow]")), X) == expected
    # Rows without a label reach nowhere.
    unlabelled = last.where(INDEX.get_level_values(1) == "B")
    assert folds_of(with_purge(cv, unlabelled), X) == expected


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["walk-forward", "k-fold", "combinatorial"]),
    reach=st.lists(st.integers(0, 4), min_size=len(INDEX), max_size=len(INDEX)),
    embargo=st.sampled_from([0, 1, 0.1, pd.Timedelta("4D")]),
)
def test_no_label_of_a_training_day_overlaps_the_test(name, reach, embargo):
    reach = np.array(reach)
    X = pd.DataFrame({"x": 0.0}, INDEX)
    last = last_days(reach)
    cv = with_purge(SPLITTERS[name], last).__class__(
        **{**vars(SPLITTERS[name]), "purge": last, "embargo": embargo}
    )
    ends = np.minimum(np.arange(N_DAYS) + reach.reshape(N_DAYS, 3).max(axis=1), N_DAYS)
    day = np.repeat(np.arange(N_DAYS), 3)
    try:
        folds = list(cv.split(X))
    except ValueError as error:
        assume("training day" not in str(error))
        raise
    free = 0 if name != "walk-forward" else cv.gap
    for train, test in folds:
        train_days, test_days = set(day[train]), sorted(set(day[test]))
        assert len(train) == 3 * len(train_days)
        earlier = [d for d in range(N_DAYS) if d < test_days[0]]
        if name == "walk-forward":
            if embargo == 0:
                expected = {d for d in earlier if ends[d] < test_days[0] - free}
                assert train_days == expected
            continue
        free_days = {
            d
            for d in range(N_DAYS)
            if d not in test_days and all(d > ends[e] if d > e else ends[d] < e for e in test_days)
        }
        assert train_days <= free_days
        if embargo == 0:
            assert train_days == free_days


@settings(max_examples=40, deadline=None)
@given(
    reach=st.lists(st.integers(0, 5), min_size=N_DAYS, max_size=N_DAYS),
    n_splits=st.integers(2, 5),
)
def test_one_stock_is_purgedcv(reach, n_splits):
    one = pd.DataFrame({"x": 0.0}, index=pd.Index(CALENDAR))
    # purgedcv's labels end before their evaluation time, ours include their last day.
    last = pd.Series(last_days(np.array(reach), INDEX[::3]).to_numpy(), one.index)
    times = {
        "prediction_times": pd.Series(CALENDAR),
        "evaluation_times": pd.Series(last.to_numpy()) + pd.Timedelta(hours=1),
    }
    pairs = [
        (PurgedDailyKFold(n_splits, purge=last), PurgedKFold(n_splits, **times)),
        (
            CombinatorialPurgedDailyKFold(5, 2, purge=last),
            CombinatorialPurgedCV(5, 2, **times),
        ),
    ]
    for ours, theirs in pairs:
        expected = [(list(train), list(test)) for train, test in theirs.split(one)]
        if any(not train for train, _ in expected):
            with pytest.raises(ValueError, match="no training day"):
                folds_of(ours, one)
            continue
        assert folds_of(ours, one) == expected


@pytest.mark.parametrize("name", ["walk-forward", "k-fold", "combinatorial"])
def test_an_embargo_is_a_number_a_fraction_or_a_span(name):
    X = pd.DataFrame({"x": 0.0}, INDEX)

    def folds(embargo):
        params = {**vars(SPLITTERS[name]), "purge": 1, "embargo": embargo}
        return folds_of(type(SPLITTERS[name])(**params), X)

    assert folds(0) != folds(3)
    # 3 of 30 days; a part of a day counts as a day.
    assert folds(0.1) == folds(0.0701) == folds(3)
    assert folds(np.float32(0.1)) in (folds(3), folds(4))
    # The first day after a week has no rows at weekends.
    assert folds(pd.Timedelta("7D")) == folds(datetime.timedelta(days=7))
    assert folds(np.timedelta64(7, "D")) == folds(pd.Timedelta("7D")) == folds(5)
    assert folds(pd.Timedelta(0)) == folds(0.0) == folds(0)


@pytest.mark.parametrize(
    ("embargo", "message"),
    [
        (1.0, r"embargo.*\bint\b"),
        (-0.1, r"embargo.*-0\.1"),
        (pd.Timedelta("-1D"), r"embargo.*negative"),
        ("5D", r"embargo.*Timedelta.*'5D'"),
        (float("nan"), r"embargo.*\bnan\b"),
    ],
)
def test_wrong_embargoes(embargo, message):
    with pytest.raises(ValueError, match=message):
        PurgedDailyKFold(embargo=embargo)


@pytest.mark.parametrize("name", SPLITTERS)
def test_wrong_last_days(name):
    X, cv = pd.DataFrame({"x": 0.0}, INDEX), SPLITTERS[name]
    last = last_days(np.full(len(INDEX), 2))
    for wrong, message in [
        (last.iloc[:-2], r"purge.*\b2 of 90\b.*'B'"),
        (pd.concat([last, last.iloc[4:5]]), r"purge\b.*\b1 rows twice.*'B'"),
        (last - pd.Timedelta(days=30), r"purge.*\b90 labels end before.*row 0\b.*2024-01-01"),
        (last.reset_index(drop=True), r"purge.*\b90 of 90\b"),
    ]:
        with pytest.raises(ValueError, match=message):
            next(with_purge(cv, wrong).split(X))
    with pytest.raises(ValueError, match=r"purge.*\b90\b.*\b87\b.*index"):
        next(with_purge(cv, last).split(X.to_numpy()[3:], groups=days_in(X)[3:]))
    for wrong in (pd.Series(2, INDEX), pd.Series("soon", INDEX), pd.Series(0.5, INDEX)):
        with pytest.raises(ValueError, match=r"purge.*dates"):
            next(with_purge(cv, wrong).split(X))
        with pytest.raises(ValueError, match=r"purge.*dates"):
            PurgedDailyKFold(purge=wrong)


@pytest.mark.parametrize("name", SPLITTERS)
def test_copies_and_texts(name):
    X, last = pd.DataFrame({"x": 0.0}, INDEX), last_days(np.full(len(INDEX), 3))
    cv = with_purge(SPLITTERS[name], last)
    assert "purge=<90 last days>" in repr(cv)
    for copy in (pickle.loads(pickle.dumps(cv)), clone(cv, safe=False)):
        assert folds_of(copy, X) == folds_of(cv, X)


# Noise that seems to be foreseen when nobody tells the reach -----------------------------------

N_STOCKS, LONG = 25, 400


@pytest.fixture(scope="module")
def noise():
    """Slow features, and the ranks of a 20-day return of random walks, which lost their attrs."""
    days = pd.bdate_range("2020", periods=LONG)
    index = pd.MultiIndex.from_product([days, range(N_STOCKS)], names=["datetime", "instrument"])
    steps = np.random.default_rng(0).normal(0, 0.02, (LONG, N_STOCKS))
    close = pd.DataFrame({"close": np.exp(steps.cumsum(0)).ravel()}, index)
    y = make_label(close, horizon=19).groupby(level="datetime").rank(pct=True).dropna()
    assert y.attrs == {}
    X = pd.DataFrame({"s": y.index.codes[1] * 1e4, "d": y.index.codes[0]}, y.index)
    return X, y


def score(noise, cv, y=None):
    X, ranks = noise
    y = ranks if y is None else y
    return cross_val_score(KNeighborsRegressor(1), X, y, cv=cv, scoring=rank_ic_scorer).mean()


def test_an_unknown_reach_is_never_silent(noise):
    X, y = noise
    cv = DailyTimeSeriesSplit(15, test_size=10)
    with pytest.warns(UserWarning, match=r"not known.*\b2\b.*attrs.*purge=<days>") as caught:
        leaked = score(noise, cv)
    assert len(caught) == 1
    assert leaked > 0.5
    last = pd.Series(
        np.busday_offset(days_in(X).to_numpy().astype("datetime64[D]"), 20), index=X.index
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = score(noise, cv, label_reaching(20, y))
        assert abs(told) < 0.1
        assert score(noise, with_purge(cv, 20)) == told
        assert score(noise, with_purge(cv, last)) == told
    with pytest.warns(UserWarning, match=r"not known.*\b2\b"):
        next(cv.split(X.to_numpy(), groups=days_in(X)))
    with pytest.warns(UserWarning, match=r"lags"):
        signal_report(y, y)


def test_the_holdout_of_a_regressor_reads_last_days():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(len(INDEX), 3, 2)).astype(np.float32)
    y = pd.Series(X[:, -1, 0], INDEX)

    def predicted(y, purge, **parts):
        model = GRURegressor(hidden_size=2, max_epochs=2, random_state=0, purge=purge)
        return clone(model).fit(X, y, **parts).predict(X)

    last = last_days(np.full(len(INDEX), 6))
    expected = predicted(y, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(predicted(y, last), expected)
        assert_array_equal(predicted(y, last.sample(frac=1, random_state=0)), expected)
    assert not np.array_equal(predicted(y, last_days(np.full(len(INDEX), 9))), expected)
    with pytest.raises(ValueError, match=r"purge.*trading days"):
        GRURegressor(purge=last, early_stopping=True).fit(X, y.to_numpy())
    with pytest.raises(ValueError, match=r"Early stopping.*\bpurge\b"):
        predicted(y, last_days(np.full(len(INDEX), 40)))


def test_rows_for_validation_are_compared_with_last_days():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(len(INDEX), 3, 2)).astype(np.float32)
    y = pd.Series(X[:, -1, 0], INDEX)
    split = {"X_val": X[60:], "y_val": y[60:]}
    model = GRURegressor(hidden_size=2, max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match=r"X_val.*purge"):
        model.set_params(purge=last_days(np.full(len(INDEX), 6))).fit(X[:45], y[:45], **split)
    with pytest.warns(UserWarning, match=r"not known.*X_val"):
        model.set_params(purge="auto").fit(X[:45], y[:45], **split)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(purge=last_days(np.full(len(INDEX), 4))).fit(X[:45], y[:45], **split)


def test_dates_as_text_are_read_once_and_all_together():
    """06/03/2024 alone could be March or June: the other rows tell."""
    days = pd.bdate_range("2024-03-01", periods=12)
    X = pd.DataFrame({"x": 0.0}, index=days.rename("datetime"))
    ends = pd.Series(days + pd.Timedelta(days=2), X.index)
    text = ends.dt.strftime("%d/%m/%Y")
    for name in ("k-fold", "walk-forward"):
        cv = {"k-fold": PurgedDailyKFold, "walk-forward": DailyTimeSeriesSplit}[name](3)
        assert folds_of(with_purge(cv, text), X) == folds_of(with_purge(cv, ends), X)


@pytest.mark.parametrize("name", SPLITTERS)
def test_a_label_that_is_still_open_is_refused(name):
    X, last = pd.DataFrame({"x": 0.0}, INDEX), last_days(np.full(len(INDEX), 2))
    last.iloc[80:] = pd.NaT
    y = pd.Series(0.0, INDEX)
    cv = with_purge(SPLITTERS[name], last)
    with pytest.raises(ValueError, match=r"purge is NaT in 10 rows that have a label.*row 80"):
        next(cv.split(X, y))
    next(cv.split(X, y.where(last.notna())))
    next(cv.split(X, ["up"] * 80 + [None] * 10))
    model = GRURegressor(hidden_size=2, max_epochs=1, purge=last)
    windows = np.zeros((len(INDEX), 3, 2), dtype=np.float32)
    with pytest.raises(ValueError, match=r"purge is NaT"):
        model.fit(windows, y)
    model.fit(windows, y.where(last.notna()))


def test_last_days_are_found_by_the_index_that_has_days():
    last = last_days(np.full(len(INDEX), 2))
    X, y = pd.DataFrame({"x": np.zeros(len(INDEX))}), pd.Series(0.0, INDEX)
    cv = PurgedDailyKFold(4, purge=last)
    assert folds_of(cv, X, y) == folds_of(cv, X.set_axis(INDEX), y)


def test_rows_without_an_index_and_labels_that_are_missing():
    days = days_in(pd.Series(0.0, INDEX))
    X = np.random.default_rng(0).normal(size=(len(INDEX), 3, 2)).astype(np.float32)
    y = X[:, -1, 0].copy()
    y[3] = np.nan
    last = last_days(np.full(len(INDEX), 2)).reset_index(drop=True)
    model = GRURegressor(hidden_size=2, max_epochs=1, purge=last)
    model.fit(X, y, days=days)
    X_val = pd.DataFrame(X[:, :, 0], INDEX.set_levels(CALENDAR + pd.Timedelta(days=70), level=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X[:, :, :1], y, days=days, X_val=X_val.to_numpy()[:, :, None], y_val=y)


def test_a_purge_is_no_part_of_the_name_of_a_stored_fit(tmp_path):
    """Equal Series are pickled in many ways; the rows that they choose are what counts."""
    X = np.random.default_rng(0).normal(size=(len(INDEX), 3, 2)).astype(np.float32)
    y, last = pd.Series(X[:, -1, 0], INDEX), last_days(np.full(len(INDEX), 2))
    for purge in (last, pd.concat([last, last])[: len(last)], pickle.loads(pickle.dumps(last)), 2):
        model = GRURegressor(hidden_size=2, max_epochs=1, random_state=0, checkpoint=tmp_path)
        model.set_params(purge=purge).fit(X, y)
    assert len(list(tmp_path.iterdir())) == 1


def test_shares_of_days_have_no_error_of_rounding():
    days = pd.bdate_range("2024-01-01", periods=100)
    X = pd.DataFrame({"x": 0.0}, index=days.rename("datetime"))

    def folds(embargo):
        return folds_of(PurgedDailyKFold(5, purge=0, embargo=embargo), X)

    assert folds(0.07) == folds(7)
    for longer_than_all in (pd.Timedelta.max, datetime.timedelta.max, 100):
        with pytest.raises(ValueError, match=r"fold 0.*\b80 embargoed"):
            folds(longer_than_all)
