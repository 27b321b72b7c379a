"""Clusters of stocks that moved together: found where they were planted, from past days alone."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import KEYS, days_in, with_value
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_series_equal
from sklearn.base import clone
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from skattn import from_long
from skattn.models import HISTRegressor
from skattn.preprocessing import CorrelationClusters

N_DAYS = 140


def planted(sizes=(9, 7, 5, 3), n_days: int = N_DAYS, seed: int = 0, loading: float = 1.5):
    """Closes of a market with a common move and one of each group, and the group of each stock.

    Stocks miss days, one lists late, and some prices split.
    """
    rng = np.random.default_rng(seed)
    names = [f"S{i:02d}" for i in rng.permutation(sum(sizes))]
    groups = pd.Series(np.repeat(np.arange(len(sizes)), sizes), names).sort_index()
    factors = rng.normal(size=(n_days, len(sizes)))
    moves = 2 * rng.standard_t(4, (n_days, 1)) + loading * factors[:, groups]
    returns = 0.01 * (moves + rng.standard_t(5, (n_days, len(groups))))
    returns[rng.integers(1, n_days, 8), rng.integers(0, len(groups), 8)] -= np.log(2)
    days = pd.bdate_range("2024-01-01", periods=n_days)
    table = pd.DataFrame(np.exp(returns.cumsum(axis=0)), days, groups.index)
    late = groups[groups == 0].index[0]
    table.loc[: days[n_days // 4], late] = np.nan
    closes = table.mask(rng.random(table.shape) < 0.02).stack()
    return closes.dropna().rename_axis(KEYS).to_frame("close"), groups


def altered_after(table: pd.DataFrame, day: pd.Timestamp, seed: int) -> pd.DataFrame:
    """Other prices after a day, some of them missing, the rows in another order."""
    rng = np.random.default_rng(seed)
    later = days_in(table) > day
    other = table.copy()
    other.loc[later, "close"] *= rng.lognormal(sigma=1, size=later.sum())
    return other[~later | (rng.random(len(other)) < 0.6)].sample(frac=1, random_state=seed)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16))
def test_planted_groups_are_found(seed):
    table, groups = planted(seed=seed)
    found = CorrelationClusters(n_clusters=4).fit(table).concepts_
    assert found.index.equals(groups.index.rename("instrument"))
    assert adjusted_rand_score(groups, found) == 1.0
    # The largest comes first.
    assert found.groupby(groups).first().tolist() == [f"cluster {k}" for k in range(4)]


def test_without_groups_nothing_is_found():
    table, groups = planted(loading=0.0)
    found = CorrelationClusters(n_clusters=4).fit(table).concepts_
    assert abs(adjusted_rand_score(groups, found)) < 0.2


@settings(max_examples=15, deadline=None)
@given(cut=st.integers(70, N_DAYS - 2), seed=st.integers(0, 2**16))
def test_nothing_after_the_last_fitted_day_matters(cut, seed):
    table, _ = planted(loading=0.5, seed=seed)
    day = days_in(table).unique().sort_values()[cut]
    clusters = CorrelationClusters(n_clusters=4)
    one, two = (
        clone(clusters).fit(each[days_in(each) <= day]).concepts_
        for each in (table, altered_after(table, day, seed))
    )
    assert_series_equal(one, two)


def test_rows_in_any_order_units_and_other_columns_do_not_matter():
    table, _ = planted(loading=0.5)
    expected = CorrelationClusters(4).fit(table).concepts_
    stock = table.index.get_level_values("instrument")
    unit = pd.Series(np.arange(24) + 1.0, stock.unique())[stock].to_numpy()
    for other in (
        table.sample(frac=1, random_state=0),
        table.swaplevel(),
        table.mul(unit, axis="index").assign(volume="none"),
        table["close"],
        table.astype(object),
    ):
        assert_series_equal(CorrelationClusters(4).fit(other, "ignored").concepts_, expected)


def test_a_market_move_is_no_reason_to_be_together():
    """Also a split of a stock, and a day of one stock alone, leave the clusters as they are."""
    table, groups = planted()
    expected = CorrelationClusters(4).fit(table).concepts_
    days = days_in(table)
    rng = np.random.default_rng(1)
    move = pd.Series(rng.lognormal(sigma=1, size=N_DAYS), days.unique())[days].to_numpy()
    moved = table.mul(move, axis="index")
    moved.loc[(days > days[500]) & (table.index.get_level_values(1) == groups.index[3])] /= 50
    found = CorrelationClusters(4).fit(moved).concepts_
    assert adjusted_rand_score(expected, found) == 1.0
    alone = pd.MultiIndex.from_tuples(
        [(days.max() + pd.Timedelta(k, "D"), "S00") for k in (1, 2)], names=KEYS
    )
    more = pd.concat([table, pd.DataFrame({"close": [1.0, 50.0]}, alone)])
    assert_series_equal(CorrelationClusters(4).fit(more).concepts_, expected)


def test_a_return_does_not_jump_over_missing_days():
    """A stock that trades every other day has no return, and so no cluster."""
    table, groups = planted()
    calendar = days_in(table).unique().sort_values()
    stock = groups.index[5]
    is_other_day = days_in(table).isin(calendar[::2])
    table = table[is_other_day | (table.index.get_level_values("instrument") != stock)]
    assert is_other_day.sum() > 60
    found = CorrelationClusters(4, min_days=2).fit(table).concepts_
    assert set(groups.index) - set(found.index) == {stock}


def test_stocks_of_few_days_have_no_cluster():
    table, groups = planted()
    days, stock = days_in(table), table.index.get_level_values("instrument")
    calendar = days.unique().sort_values()
    late, early = groups.index[3], groups.index[8]
    kept = ((stock != late) | (days >= calendar[-50])) & ((stock != early) | (days < calendar[70]))
    n_returns = table[kept]["close"].unstack().pct_change(fill_method=None).count()
    assert n_returns[late] < 50 < n_returns[early] < 70
    found = CorrelationClusters(4, min_days=50).fit(table[kept]).concepts_
    assert set(groups.index) - set(found.index) == {late}
    assert adjusted_rand_score(groups[found.index], found) == 1.0
    for min_days, is_known in ((n_returns[late], True), (n_returns[late] + 1, False)):
        found = CorrelationClusters(4, min_days=min_days).fit(table[kept]).concepts_
        assert (late in found.index) == is_known


def test_stocks_of_different_times_count_as_uncorrelated():
    table, groups = planted()
    days, stock = days_in(table), table.index.get_level_values("instrument")
    half = days.unique().sort_values()[N_DAYS // 2]
    is_first = stock.isin(groups.index[:12])
    found = CorrelationClusters(8, min_days=40).fit(table[is_first == (days < half)]).concepts_
    assert len(found) == 23  # the one that lists late is too late for the first half
    # No cluster has stocks of both times.
    shares = pd.Series(found.index.isin(groups.index[:12]), found.index).groupby(found).mean()
    assert set(shares) == {0.0, 1.0}


def test_equal_stocks_stay_together_and_stocks_that_never_move_are_taken():
    table, _ = planted()
    wide = table["close"].unstack()
    wide = pd.concat([wide, wide.add_suffix("b")], axis=1)
    wide["flat"] = 1.0
    found = CorrelationClusters(15).fit(wide.stack().rename_axis(KEYS)).concepts_
    for name in table.index.unique("instrument"):
        assert found[name] == found[f"{name}b"]
    assert "flat" in found.index
    assert found.nunique() == 15
    assert found.min() == "cluster 00"


def test_hist_takes_the_result_as_it_is():
    table, _ = planted()
    found = CorrelationClusters(4).fit(table).concepts_
    weights = HISTRegressor(concepts=found).make_side_inputs()
    assert weights.concepts.tolist() == [f"cluster {k}" for k in range(4)]
    assert len(weights.unknown(found.index)) == 0


# Bad input --------------------------------------------------------------------------------------


def test_few_stocks_get_fewer_clusters_and_a_warning():
    table, _ = planted(sizes=(4, 3, 3))
    with pytest.warns(
        UserWarning, match=r"10 of 10 stocks .* takes n_clusters=5 in place of 20"
    ) as w:
        found = CorrelationClusters().fit(table).concepts_
    assert w[0].filename == __file__
    assert found.nunique() == 5
    with pytest.warns(UserWarning, match="takes n_clusters=1 in place"):
        found = CorrelationClusters().fit(planted(sizes=(1, 1))[0]).concepts_
    assert found.tolist() == ["cluster 0", "cluster 0"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CorrelationClusters(5).fit(table)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda t: t[days_in(t) < "2024-03-01"], ValueError, "min_days=60 .*got 0 of 2[34] stocks"),
        (lambda t: t.xs("S03", level=1, drop_level=False), ValueError, "got 1 of 1 stocks on"),
        (lambda t: t[:0], ValueError, "got 0 of 0 stocks on 0 days"),
        (lambda t: t * np.nan, ValueError, "got 0 of 24 stocks"),
        (lambda t: t.rename(columns=str.upper), ValueError, r"price='close'.*rename\(columns="),
        (lambda t: with_value(t, 7, "close", np.inf), ValueError, "infinity"),
        (lambda t: -t, ValueError, "must not be negative"),
        (lambda t: t.astype(str), ValueError, "must be numbers"),
        (lambda t: t.reset_index(), ValueError, r"MultiIndex.*from_long"),
        (lambda t: pd.concat([t, t[:1]]), ValueError, "duplicate"),
        (lambda t: t.to_numpy(), TypeError, "ohlcv must be a DataFrame"),
        (lambda t: None, TypeError, "ohlcv must be a DataFrame"),
    ],
)
def test_bad_prices(change, error, match):
    clusters = CorrelationClusters(4).fit(planted()[0])
    before = clusters.concepts_
    with pytest.raises(error, match=match):
        clusters.fit(change(planted()[0]))
    assert clusters.concepts_ is before


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_clusters": 1}, "n_clusters must be an int of at least 2; got 1"),
        ({"n_clusters": None}, "n_clusters must be an int"),
        ({"n_clusters": 2.5}, "n_clusters must be an int"),
        ({"min_days": 1}, "min_days must be an int of at least 2"),
        ({"min_days": True}, "min_days must be an int"),
    ],
)
def test_bad_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        CorrelationClusters(**params).fit(planted()[0])


def test_conventions():
    clusters = CorrelationClusters(4, min_days=np.int64(30))
    assert clusters.get_params() == {"n_clusters": 4, "min_days": 30}
    assert repr(CorrelationClusters(4)) == "CorrelationClusters(n_clusters=4)"
    table, _ = planted()
    assert clusters.fit(table) is clusters
    assert not hasattr(clone(clusters), "concepts_")
    assert_series_equal(pickle.loads(pickle.dumps(clusters)).concepts_, clusters.concepts_)
    assert "CorrelationClusters" in clusters._repr_html_()


@pytest.mark.realdata
def test_clusters_of_real_prices_resemble_sectors(us_equities, us_sectors):
    table = from_long(us_equities)
    found = CorrelationClusters().fit(table[days_in(table) >= "2015"]).concepts_
    assert adjusted_mutual_info_score(us_sectors[found.index], found) > 0.5
    assert found.value_counts().max() < len(found) / 5
