"""CrossSectionalScaler, CrossSectionalTarget and make_label against qlib."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, RegressorMixin

from skattn.compose import CrossSectionalTarget
from skattn.labels import make_label
from skattn.preprocessing import Alpha360, CrossSectionalScaler
from skattn.utils import PanelRegressorTags

pytestmark = pytest.mark.qlib

# In float64; qlib's mean and standard deviation add up in another order.
TOLERANCE = {"rtol": 1e-9, "atol": 1e-12}
METHODS = pytest.mark.parametrize("method", ["rank", "zscore", "robust"])


@pytest.fixture(scope="module")
def by_qlib():
    """What qlib's processor makes of a table."""
    processor = pytest.importorskip("qlib.data.dataset.processor")

    def run(table: pd.DataFrame, method: str) -> pd.DataFrame:
        if method == "rank":
            scale = processor.CSRankNorm(fields_group="feature")
        else:
            scale = processor.CSZScoreNorm(fields_group="feature", method=method)
        return scale(pd.concat({"feature": table}, axis=1))["feature"]

    return run


@pytest.fixture(scope="module")
def table(ohlcv):
    """Alpha360's columns, with NaN and ties, and days on which values are equal or missing."""
    features = Alpha360(["close", "volume"], length=20, layout="columns").fit_transform(ohlcv)
    features = features.astype(np.float64)
    features["TIED"] = features["CLOSE5"].round(2)
    day = features.index.get_level_values("datetime")
    features.loc[day == day[-1], "CLOSE19"] = 0.25
    features.loc[day == day[0], "CLOSE19"] = 0.25
    features.loc[features.index[day == day[-1]][0], "VOLUME3"] = np.nan
    return features


@METHODS
def test_features(by_qlib, table, method):
    expected = by_qlib(table, method)
    scaled = CrossSectionalScaler(method).fit_transform(table)
    assert_allclose(scaled, expected, **TOLERANCE)
    assert expected.isna().mean(axis=None) > 0.05
    last = expected.xs(table.index[-1][0])["CLOSE19"]
    assert last.isna().all() == (method != "rank")
    if method == "robust":
        assert 0.01 < (expected.abs() == 3).mean(axis=None) < 0.5


class Keep(RegressorMixin, BaseEstimator):
    """Keeps the label that it is trained on."""

    def fit(self, X, y):
        self.label_ = y
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags = PanelRegressorTags(takes_unlabelled=True)
        return tags


@METHODS
def test_labels(by_qlib, ohlcv, method):
    label = make_label(ohlcv)
    expected = by_qlib(label.to_frame("LABEL0"), method)["LABEL0"]
    given = CrossSectionalTarget(Keep(), method).fit(ohlcv, label).regressor_.label_
    assert_allclose(given, expected, **TOLERANCE)
    assert 0.01 < expected.isna().mean() < 0.2


def test_the_label_is_that_of_qlibs_handlers(ohlcv, qlib_features):
    handler = pytest.importorskip("qlib.contrib.data.handler")
    qlib_features(ohlcv, "Alpha360DL")  # writes the provider, and points qlib to it
    from qlib.data import D

    (expression,), _ = handler.Alpha360.get_label_config(None)
    expected = D.features(D.instruments("all"), [expression], freq="day")[expression]
    expected = expected.reorder_levels(["datetime", "instrument"])
    label = make_label(ohlcv)
    common = label.index.intersection(expected.index)
    assert len(common) == len(label)
    assert_allclose(label[common], expected[common], rtol=0, atol=1e-6)
    assert label.isna().mean() < 0.2
