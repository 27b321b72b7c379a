"""MarketInformation: values by hand, causality, live use, index series, scikit-learn's rules."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal, assert_index_equal
from skattn_master import MarketInformation, MASTERRegressor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_array, check_is_fitted

from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import rank_ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.preprocessing import Alpha158, Alpha360, RobustZScore, RollingWindow

LEVELS = ["datetime", "instrument"]
WEIGHTS = ["equal", "value"]


def days_in(table: pd.DataFrame) -> pd.DatetimeIndex:
    return table.index.get_level_values("datetime")


@pytest.fixture(scope="module")
def ragged() -> pd.DataFrame:
    """Late listings, missing days, missing values, rows in no order, instruments first."""
    table = make_market(9, 110, late_listings=0.4, missing_days=0.08, random_state=1).ohlcv
    rng = np.random.default_rng(0)
    for name in ("close", "volume"):
        table.loc[rng.random(len(table)) < 0.03, name] = np.nan
        table.loc[rng.random(len(table)) < 0.01, name] = 0.0
    return table.sample(frac=1.0, random_state=0).swaplevel()


def market_by_hand(table: pd.DataFrame, weights: str) -> pd.DataFrame:
    """Return and amount by pandas, wide."""
    wide = table.replace(0, np.nan)[["close", "volume"]].unstack("instrument").sort_index()
    amounts = wide["close"] * wide["volume"]
    returns = wide["close"] / wide["close"].shift(1) - 1
    before = amounts.shift(1) if weights == "value" else amounts * 0 + 1
    if weights == "equal":
        before = returns * 0 + 1
    before = before.where(returns.notna())
    market = (returns * before).sum(axis=1, min_count=1) / before.sum(axis=1, min_count=1)
    return pd.DataFrame({"return": market, "amount": amounts.sum(axis=1, min_count=1)})


@pytest.mark.parametrize("weights", WEIGHTS)
def test_values(ragged, weights):
    table = MarketInformation(weights=weights).fit_transform(ragged)
    assert_index_equal(table.index, ragged.index)
    assert_frame_equal(table[ragged.columns], ragged)
    market = market_by_hand(ragged, weights)
    expected = {"MARKET_RETURN": market["return"]}
    for n in (5, 10, 20, 30, 60):
        returns, amounts = (market[k].rolling(n, min_periods=1) for k in ("return", "amount"))
        expected[f"MARKET_RETURN_MEAN{n}"] = returns.mean()
        expected[f"MARKET_RETURN_STD{n}"] = returns.std()
        expected[f"MARKET_AMOUNT_MEAN{n}"] = amounts.mean() / market["amount"]
        expected[f"MARKET_AMOUNT_STD{n}"] = amounts.std() / market["amount"]
    added = table.columns[len(ragged.columns) :]
    assert added.tolist() == list(expected)
    assert len(added) == 21
    for name, values in expected.items():
        assert table[name].dtype == np.float32
        assert_allclose(table[name], values.reindex(days_in(ragged)), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("level", [1.0, 1e9])
@pytest.mark.parametrize("damage", ["nan", "other", "dropped"])
def test_the_future_is_not_seen(ragged, weights, level, damage):
    ragged = ragged * level
    cut = days_in(ragged).unique().sort_values()[70]
    late = days_in(ragged) > cut
    changed = ragged.astype(float)
    if damage == "nan":
        changed.loc[late] = np.nan
    elif damage == "other":
        changed.loc[late] *= np.random.default_rng(1).uniform(0.1, 9, size=(late.sum(), 1))
    else:
        changed = changed[~late]
    transformer = MarketInformation(weights=weights)
    before = transformer.fit_transform(ragged)[~late]
    after = clone(transformer).fit_transform(changed)
    added = before.columns[len(ragged.columns) :]
    assert_frame_equal(after.loc[before.index, added], before[added], check_exact=True)
    if damage == "other":
        moved = after.loc[ragged.index[late], added]
        assert not np.allclose(
            moved, transformer.fit_transform(ragged)[late][added], equal_nan=True
        )


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("n_live", [1, 2, 39])
def test_later_rows_alone_get_what_they_get_in_the_full_table(ragged, weights, n_live):
    days = days_in(ragged).unique().sort_values()
    cut = days[-1 - n_live]
    transformer = MarketInformation(Alpha158(columns=["KLEN", "ROC5"]), weights=weights)
    full = transformer.fit_transform(ragged)
    transformer = clone(transformer).fit(ragged[days_in(ragged) <= cut])
    live = transformer.transform(ragged[days_in(ragged) > cut])
    assert_frame_equal(live, full[days_in(ragged) > cut], check_exact=True)
    last = ragged[days_in(ragged) == days[-1]]
    if n_live == 1:
        restored = pickle.loads(pickle.dumps(transformer))
        assert_frame_equal(restored.transform(last), full.loc[last.index], check_exact=True)


def test_some_rows_of_fitted_days_have_the_market_of_all(ragged):
    transformer = MarketInformation().fit(ragged)
    some = ragged.sample(frac=0.1, random_state=3)
    assert_frame_equal(
        transformer.transform(some), transformer.transform(ragged).loc[some.index], check_exact=True
    )


def test_order_of_rows_and_levels_does_not_matter(ragged):
    table = MarketInformation().fit_transform(ragged)
    other = ragged.swaplevel().sort_index()
    assert_frame_equal(
        MarketInformation().fit_transform(other), table.swaplevel().sort_index(), check_exact=True
    )


def test_days_dropped_between_fit_and_transform_are_no_neighbours(ragged):
    days = days_in(ragged).unique().sort_values()
    transformer = MarketInformation(lengths=(5,)).fit(ragged[days_in(ragged) <= days[50]])
    later = ragged[days_in(ragged) >= days[53]]
    first = transformer.transform(later)[days_in(later) == days[53]]
    assert first["MARKET_RETURN"].isna().all()
    # Of the last five days, days[49] and days[50] have a return.
    known = market_by_hand(ragged, "equal")["return"][days[[49, 50]]]
    assert_allclose(first["MARKET_RETURN_MEAN5"], known.mean(), rtol=1e-5)


def test_amount_is_read_where_there_is_one(ragged):
    with_amount = ragged.assign(amount=ragged["close"] * ragged["volume"] * 2)
    names = ["MARKET_AMOUNT_MEAN5", "MARKET_RETURN"]
    without_volume = with_amount.drop(columns="volume")
    expected = MarketInformation(weights="value").fit_transform(ragged)[names]
    assert_frame_equal(
        MarketInformation(weights="value").fit_transform(without_volume)[names], expected
    )


# Index series -----------------------------------------------------------------------------------


def index_series(days: pd.DatetimeIndex, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    days = days.unique().sort_values()
    closes = 3000 * np.exp(np.cumsum(0.01 * rng.normal(size=len(days))))
    return pd.DataFrame({"close": closes, "volume": rng.lognormal(20, 0.3, len(days))}, days)


def test_index_series_stand_for_the_market(ragged):
    first, second = (index_series(days_in(ragged), seed) for seed in (0, 1))
    missing = first.index[40]
    first = first.drop(missing).sample(frac=1.0, random_state=0)
    transformer = MarketInformation(indexes={"A": first, "B": second}, lengths=(5, 10))
    table = transformer.fit_transform(ragged)
    assert len(transformer.get_feature_names_out()) == len(ragged.columns) + 2 * 9 == table.shape[1]
    assert table.columns[len(ragged.columns)] == "MARKET_A_RETURN"
    assert table.columns[len(ragged.columns) + 9] == "MARKET_B_RETURN"
    closes = first["close"].sort_index()
    expected = (closes / closes.shift(1) - 1).rolling(5, min_periods=1).mean()
    assert_allclose(
        table["MARKET_A_RETURN_MEAN5"], expected.reindex(days_in(ragged)), rtol=1e-5, atol=1e-9
    )
    of_missing = table[days_in(ragged) == missing]
    assert of_missing.filter(like="MARKET_A_").isna().all(axis=None)
    assert of_missing["MARKET_B_RETURN"].notna().all()
    one = MarketInformation(indexes=second, lengths=(5, 10)).fit_transform(ragged)
    assert_allclose(one["MARKET_AMOUNT_STD10"], table["MARKET_B_AMOUNT_STD10"])


def test_an_index_that_ends_early(ragged):
    series = index_series(days_in(ragged), 0)
    transformer = MarketInformation(indexes=series[:80]).fit(ragged)
    with pytest.raises(ValueError, match=r"indexes ends at .* X goes to .*set_params"):
        transformer.transform(ragged)
    longer = transformer.set_params(indexes=series).transform(ragged)
    early = days_in(ragged) <= series.index[79]
    assert_frame_equal(
        transformer.set_params(indexes=series[:80]).transform(ragged[early]), longer[early]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.drop(columns="close"), "indexes lacks the column 'close'"),
        (lambda s: s.drop(columns="volume"), r"indexes lacks the column 'volume' \(or 'amount'\)"),
        (lambda s: s.reset_index(drop=True), "The index of indexes must hold dates"),
        (lambda s: pd.concat([s, s[:1]]), "indexes must have one row for each day; 20"),
        (lambda s: s.assign(close=np.nan), "indexes has no day with a close"),
        (lambda s: -s, "'close' of indexes must be finite and not negative"),
        (lambda s: {"A": s["close"]}, r"indexes\['A'\] must be a DataFrame"),
    ],
)
def test_bad_index_series(ragged, change, message):
    with pytest.raises(ValueError, match=message):
        MarketInformation(indexes=change(index_series(days_in(ragged), 0))).fit(ragged)


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to_numpy(), r"pandas table with a \(datetime, instrument\) index.*ndarray"),
        (lambda t: t.reset_index(drop=True), "must be a MultiIndex with the levels"),
        (lambda t: pd.concat([t, t[:1]]), "1 duplicate"),
        (lambda t: t[:0], "0 sample"),
        (lambda t: t.drop(columns="close"), "X lacks the column 'close'"),
        (lambda t: t.drop(columns="volume"), r"X lacks the column 'volume' \(or 'amount'\)"),
        (lambda t: t.assign(close="x"), "column 'close' of X is not numeric"),
        (lambda t: t.assign(volume=-1.0), "'volume' of X must be finite and not negative"),
        (lambda t: t.assign(close=np.inf), "'close' of X must be finite"),
        (
            lambda t: pd.concat([t, t[["close"]]], axis=1),
            r"unique column names(.|\n)*'close' 2 times",
        ),
        (lambda t: MarketInformation().fit_transform(t), "X has the columns .*MARKET_RETURN"),
    ],
)
def test_bad_tables(ragged, change, message):
    with pytest.raises(ValueError, match=message):
        MarketInformation().fit(change(ragged))


def test_two_rows_of_a_stock_on_one_day():
    days = pd.to_datetime(["2024-01-02 10:00", "2024-01-02 15:00"])
    index = pd.MultiIndex.from_arrays([days, ["A", "A"]], names=LEVELS)
    with pytest.raises(ValueError, match=r"more than one row of a stock on one day.*15:00"):
        MarketInformation().fit(pd.DataFrame({"close": 1.0, "volume": 1.0}, index))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"weights": "cap"}, ValueError, "weights must be one of 'equal', 'value'"),
        ({"lengths": (1,)}, ValueError, "lengths must be an int of at least 2; got 1"),
        ({"lengths": ()}, ValueError, "at least one length"),
        ({"lengths": (5, 5)}, ValueError, "must not hold duplicates"),
        ({"indexes": 3}, ValueError, "indexes must be a DataFrame or a mapping"),
        ({"features": Alpha158}, TypeError, "features must be a transformer"),
        ({"features": "drop"}, TypeError, "features must be a transformer"),
    ],
)
def test_bad_parameters(ragged, params, error, message):
    with pytest.raises(error, match=message):
        MarketInformation(**params).fit(ragged)


def test_windows_cannot_get_columns(ragged):
    with pytest.raises(ValueError, match=r"Alpha360 gave WindowArray.*RollingWindow"):
        MarketInformation(Alpha360(length=3)).fit_transform(ragged)


def test_other_columns_than_fitted(ragged):
    transformer = MarketInformation().fit(ragged)
    with pytest.raises(ValueError, match="feature names should match"):
        transformer.transform(ragged.rename(columns={"open": "opening"}))


# scikit-learn -----------------------------------------------------------------------------------


class OfArrays(MarketInformation):
    """Takes an array as the prices and volumes of the stocks of one day."""

    def fit(self, X, y=None):
        return super().fit(self._to_table(X), y)

    def transform(self, X):
        check_is_fitted(self)
        # One day has no return, and the checks take no NaN.
        return super().transform(self._to_table(X)).fillna(0.0).to_numpy()

    def _to_table(self, X):
        X = np.abs(
            check_array(
                X, ensure_min_features=2, dtype=float, ensure_all_finite="allow-nan", estimator=self
            )
        )
        stocks = pd.Index(range(len(X)))
        index = pd.MultiIndex.from_product([[pd.Timestamp("2024-01-02")], stocks], names=LEVELS)
        names = ["close", "volume", *(f"x{i}" for i in range(2, X.shape[1]))]
        return pd.DataFrame(X, index, names)


def test_scikit_learn_checks():
    # Arrays have no days: the checks get a transformer that gives them one.
    results = check_estimator(OfArrays(), on_skip=None, on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    # It takes one column in place of a table's two, and wants to hear of the fitted number.
    alone = failed.pop("check_n_features_in_after_fitting")
    assert "minimum of 2 is required" in str(alone.__cause__)
    assert failed == {}
    assert len(results) > 40


def test_pipeline_search_and_names():
    market = make_market(n_stocks=8, n_days=120, random_state=0)
    pipeline = make_pipeline(
        MarketInformation(Alpha158(columns=Alpha158.SELECTED20)),
        RobustZScore(),
        RollingWindow(4, fill_method="ffill+bfill"),
        CrossSectionalTarget(MASTERRegressor(d_model=8, max_epochs=2, random_state=0)),
    )
    grid = {
        "marketinformation__weights": WEIGHTS,
        "marketinformation__features__columns": [Alpha158.SELECTED20, ("KLEN", "ROC5")],
    }
    search = GridSearchCV(
        pipeline, grid, cv=DailyTimeSeriesSplit(2), scoring=rank_ic_scorer, n_jobs=2
    )
    search.fit(market.ohlcv, market.label)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    names = best[:2].get_feature_names_out()
    assert list(names[-21:-19]) == ["MARKET_RETURN", "MARKET_RETURN_MEAN5"]
    assert len(names) == best[-1].regressor_.n_features_in_
    today = market.ohlcv[days_in(market.ohlcv) == days_in(market.ohlcv).max()]
    assert_allclose(best.predict(today), best.predict(market.ohlcv)[-len(today) :], atol=1e-6)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_set_output(ragged, output):
    pytest.importorskip(output)
    ragged = ragged.fillna(1.0)
    transformer = MarketInformation(StandardScaler()).set_output(transform=output)
    table = transformer.fit_transform(ragged)
    assert type(table).__module__.startswith(output)
    assert list(table.columns) == transformer.get_feature_names_out().tolist()
    assert_allclose(table["MARKET_RETURN"], MarketInformation().fit_transform(ragged).MARKET_RETURN)


def test_refitting_forgets(ragged):
    transformer = MarketInformation(Alpha158(columns=["KLEN"])).fit(ragged)
    transformer.set_params(features=None, indexes=index_series(days_in(ragged), 0)).fit(ragged)
    assert transformer.market_ is None
    assert not hasattr(transformer, "features_")
    copy = ragged.copy()
    transformer.transform(ragged)
    assert_frame_equal(copy, ragged)
