"""A fitted model that several files ask."""

from __future__ import annotations

import warnings

import pytest
from helpers import small_hist


@pytest.fixture(scope="module")
def fitted(stock_days):
    X, y = stock_days
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return small_hist().fit(X, y)
