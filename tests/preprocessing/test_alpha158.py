"""Alpha158 against pandas' own rolling statistics, stock by stock."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from skattn.preprocessing import Alpha158

# A number is as large as its column's usual ones are, where those cancel to nearly nothing.
RTOL = 1e-5


def slow_features(prices: pd.DataFrame, windows) -> pd.DataFrame:
    """Features of one stock by day: pandas and numpy over each window."""
    o, h, l, c, v = (  # noqa: E741
        prices[name].astype("float32") for name in ("open", "high", "low", "close", "volume")
    )
    w = prices["vwap"].astype("float32")
    before, change = c.shift(1), c - c.shift(1)
    top, bottom, candle = np.maximum(o, c), np.minimum(o, c), h - l + np.float32(1e-12)
    table = {
        "KMID": (c - o) / o,
        "KLEN": (h - l) / o,
        "KMID2": (c - o) / candle,
        "KUP": (h - top) / o,
        "KUP2": (h - top) / candle,
        "KLOW": (bottom - l) / o,
        "KLOW2": (bottom - l) / candle,
        "KSFT": (2 * c - h - l) / o,
        "KSFT2": (2 * c - h - l) / candle,
        "OPEN0": o / c,
        "HIGH0": h / c,
        "LOW0": l / c,
        "VWAP0": w / c,
    }

    def regression(y):
        y = np.asarray(y)
        x = np.arange(1 - len(y), 1)[~np.isnan(y)]
        known = y[~np.isnan(y)]
        if len(known) < 2:
            return np.nan, np.nan, np.nan
        slope, intercept = np.polyfit(x, known, 1)
        fit = np.corrcoef(x, known)[0, 1] ** 2 if known.std() > 1e-5 else np.nan
        return slope, fit, y[-1] - intercept

    flow = (c / before - 1).abs() * v
    volume_change = v - v.shift(1)
    for d in windows:
        rolling = {"window": d, "min_periods": 1}
        rows = [c.iloc[max(i + 1 - d, 0) : i + 1] for i in range(len(c))]
        slope, fit, rest = (np.array(part) for part in zip(*map(regression, rows), strict=True))
        high, low = h.rolling(**rolling), l.rolling(**rolling)
        at_high = high.apply(lambda x: x.argmax() + 1, raw=True)
        at_low = low.apply(lambda x: x.argmin() + 1, raw=True)
        log_change = np.log(v / v.shift(1) + 1)
        ratio = c / before
        moved = change.abs().rolling(**rolling).sum() + 1e-12
        traded = volume_change.abs().rolling(**rolling).sum() + 1e-12
        up, down = (s.clip(lower=0).rolling(**rolling).sum() for s in (change, -change))
        more, less = (
            s.clip(lower=0).rolling(**rolling).sum() for s in (volume_change, -volume_change)
        )
        rose, fell = ((s > 0).astype(float).rolling(**rolling).mean() for s in (change, -change))
        table |= {
            f"ROC{d}": c.shift(d) / c,
            f"MA{d}": c.rolling(**rolling).mean() / c,
            f"STD{d}": c.rolling(**rolling).std() / c,
            f"BETA{d}": slope / c,
            f"RSQR{d}": fit,
            f"RESI{d}": rest / c,
            f"MAX{d}": high.max() / c,
            f"MIN{d}": low.min() / c,
            f"QTLU{d}": c.rolling(**rolling).quantile(0.8) / c,
            f"QTLD{d}": c.rolling(**rolling).quantile(0.2) / c,
            f"RANK{d}": c.rolling(**rolling).rank(pct=True),
            f"RSV{d}": (c - low.min()) / (high.max() - low.min() + 1e-12),
            f"IMAX{d}": at_high / d,
            f"IMIN{d}": at_low / d,
            f"IMXD{d}": (at_high - at_low) / d,
            f"CORR{d}": c.rolling(**rolling).corr(np.log(v + 1)),
            f"CORD{d}": ratio.rolling(**rolling).corr(log_change),
            f"CNTP{d}": rose,
            f"CNTN{d}": fell,
            f"CNTD{d}": rose - fell,
            f"SUMP{d}": up / moved,
            f"SUMN{d}": down / moved,
            f"SUMD{d}": (up - down) / moved,
            f"VMA{d}": v.rolling(**rolling).mean() / (v + 1e-12),
            f"VSTD{d}": v.rolling(**rolling).std() / (v + 1e-12),
            f"WVMA{d}": flow.rolling(**rolling).std() / (flow.rolling(**rolling).mean() + 1e-12),
            f"VSUMP{d}": more / traded,
            f"VSUMN{d}": less / traded,
            f"VSUMD{d}": (more - less) / traded,
        }
    return pd.DataFrame(table)


def slow_alpha158(ohlcv: pd.DataFrame, windows) -> pd.DataFrame:
    """Features of all stocks, each on the market's calendar from its first day to its last."""
    calendar = ohlcv.index.unique("datetime").sort_values()
    parts = {}
    for stock, rows in ohlcv.replace(0, np.nan).groupby("instrument"):
        rows = rows.droplevel("instrument").sort_index()
        listed = calendar[(calendar >= rows.index[0]) & (calendar <= rows.index[-1])]
        parts[stock] = slow_features(rows.reindex(listed), windows)
    whole = pd.concat(parts, names=["instrument", "datetime"]).swaplevel()
    return whole.reindex(ohlcv.index)


@pytest.fixture(scope="module")
def ohlcv(ragged_ohlcv) -> pd.DataFrame:
    """A ragged market with a vwap, and values that are missing or zero."""
    rng = np.random.default_rng(0)
    table = ragged_ohlcv.assign(vwap=ragged_ohlcv[["high", "low", "close"]].mean(axis=1))
    table = table.mask(rng.random(table.shape) < 0.02)
    return table.mask(rng.random(table.shape) < 0.02, 0.0)


def test_equals_pandas(ohlcv):
    windows = (3, 10)
    ours = Alpha158(windows).fit_transform(ohlcv)
    slow = slow_alpha158(ohlcv, windows)
    by_window = [name[:-1] for name in slow if name[-1] == "3"]
    names = [*slow.columns[:13], *(f"{name}{d}" for name in by_window for d in windows)]
    assert ours.columns.tolist() == names
    assert (ours.dtypes == np.float32).all()
    for name in names:
        usual = slow[name].abs().median()
        assert 0 < usual < np.inf or name.startswith(("CNTD", "IMXD")), name
        np.testing.assert_allclose(ours[name], slow[name], RTOL, RTOL * usual, err_msg=name)


def test_rows_in_any_order(ohlcv):
    shuffled = ohlcv.sample(frac=1, random_state=0).swaplevel()
    ours = Alpha158((5,)).fit_transform(shuffled)
    assert ours.index.equals(shuffled.index)
    expected = Alpha158((5,)).fit_transform(ohlcv)
    assert_frame_equal(ours.swaplevel().reindex(ohlcv.index), expected, check_exact=True)


def test_threads_and_blocks_do_not_change_a_bit(ohlcv, monkeypatch):
    one = Alpha158().fit_transform(ohlcv)
    monkeypatch.setattr("skattn.preprocessing._alpha158.CHUNK_ROWS", 100)
    assert_frame_equal(Alpha158(n_jobs=2).fit_transform(ohlcv), one, check_exact=True)


def test_choice_of_columns(ohlcv):
    whole = Alpha158().fit(ohlcv).get_feature_names_out().tolist()
    assert len(whole) == len(set(whole)) == 158
    assert Alpha158((5,), include=["ROC", "LOW"]).fit(ohlcv).columns_[13:] == ("ROC5", "MIN5")
    assert Alpha158((5,), include=["MIN"]).fit(ohlcv).columns_[13:] == ("MIN5",)
    assert not any(
        name.startswith("QTL")
        for name in Alpha158(exclude=["QTLU", "QTLD"]).fit(ohlcv).get_feature_names_out()
    )
    selected = Alpha158(columns=Alpha158.SELECTED20).fit_transform(ohlcv)
    assert selected.columns.tolist() == list(Alpha158.SELECTED20)
    assert_frame_equal(
        selected, Alpha158().fit_transform(ohlcv)[list(Alpha158.SELECTED20)], check_exact=True
    )
    assert Alpha158(columns=selected.columns).fit(ohlcv).columns_ == Alpha158.SELECTED20
    assert Alpha158(columns=["KLEN"]).fit(ohlcv).history_ is None


def test_columns_need_only_their_own_fields(ohlcv):
    only = Alpha158(columns=["ROC5", "VMA5"]).fit_transform(ohlcv[["close", "volume"]])
    assert_frame_equal(only, Alpha158().fit_transform(ohlcv)[["ROC5", "VMA5"]], check_exact=True)
    assert "VWAP0" not in Alpha158().fit(ohlcv.drop(columns="vwap")).columns_
    assert Alpha158(vwap="typical").fit(ohlcv.drop(columns="vwap")).columns_[12] == "VWAP0"


def test_arrays_are_series(ohlcv):
    name = ohlcv.groupby("instrument").size().idxmax()
    stock = ohlcv.xs(name, level="instrument").sort_index()
    fields = ["close", "open", "high", "low", "volume"]
    table = pd.concat({"A": stock[fields]}, names=["instrument"])
    expected = Alpha158((5,)).fit_transform(table).iloc[[-1]]
    cube = stock[fields].to_numpy()[None]
    model = Alpha158((5,)).fit(cube)
    assert model.get_feature_names_out().tolist() == expected.columns.tolist()
    assert_array_equal(model.transform(cube), expected)
    closes = Alpha158((5,)).fit_transform(cube[:, :, 0])
    names = Alpha158((5,)).fit(cube[:, :, 0]).get_feature_names_out()
    assert_array_equal(closes, expected[list(names)])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"lengths": ()}, r"lengths.*\(\)"),
        ({"lengths": 5}, r"lengths.*\b5\b"),
        ({"lengths": (5, 1)}, r"lengths.*\b1\b"),
        ({"lengths": (5, 2.5)}, r"lengths.*\b2\.5\b"),
        ({"lengths": (5, 5)}, r"lengths.*\[5, 5\]"),
        ({"include": ["RoC"]}, r"include.*\['RoC'\]"),
        ({"exclude": "ROC"}, "exclude.*'ROC'"),
        ({"exclude": 5}, r"exclude.*\b5\b"),
        ({"columns": ["ROC7"]}, r"columns.*\['ROC7'\]"),
        ({"columns": ["KLEN", "KLEN"]}, r"columns.*\['KLEN', 'KLEN'\]"),
        ({"columns": []}, r"columns.*\bNone\b"),
        ({"columns": ["VWAP0"]}, "columns.*VWAP0"),
        ({"vwap": "close"}, "vwap.*'close'"),
        ({"calendar": ["2020-01-01"]}, "calendar.*2010-01-04"),
        ({"calendar": "every day"}, "calendar.*'every day'"),
        ({"calendar": []}, r"calendar.*\[\]"),
    ],
)
def test_what_is_wrong(ragged_ohlcv, parameters, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Alpha158(**parameters).fit(ragged_ohlcv)


def test_what_is_wrong_with_the_table(ragged_ohlcv):
    with pytest.raises(ValueError, match=r"X.*\['low', 'volume'\]"):
        Alpha158().fit(ragged_ohlcv.drop(columns=["low", "volume"]))
    with pytest.raises(ValueError, match=r"infinity.*\['high'\]"):
        Alpha158().fit(ragged_ohlcv.assign(high=np.inf))
    with pytest.raises(ValueError, match=r"X.*RangeIndex"):
        Alpha158().fit(ragged_ohlcv.reset_index(drop=True))
    with pytest.raises(ValueError, match=r"close.*\b3\b"):
        Alpha158().fit(np.ones((4, 5, 3)))
