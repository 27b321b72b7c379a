"""Labels, predictions and groups in the containers of other libraries."""

from __future__ import annotations

import decimal
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin

from skattn.metrics import (
    SignalDisplay,
    daily_ic,
    ic_score,
    ic_scorer,
    icir_score,
    quantile_returns,
    rank_ic_score,
    rank_icir_score,
    signal_report,
)

DAYS = pd.to_datetime(np.repeat(["2024-01-02", "2024-01-03", "2024-01-04"], 5))
INDEX = pd.MultiIndex.from_arrays([DAYS, list("ABCDE") * 3], names=["datetime", "instrument"])
# Multiples of 1/8 are the same numbers in every dtype of floats.
LABELS = np.random.default_rng(0).integers(-20, 20, len(DAYS)) / 8
LABELS[[3, 7]] = np.nan
PREDICTIONS = np.random.default_rng(1).integers(-20, 20, len(DAYS)) / 8

METRICS = {
    "daily_ic": daily_ic,
    "daily_rank_ic": lambda *rows, **days: daily_ic(*rows, **days, method="spearman"),
    "ic_score": ic_score,
    "icir_score": icir_score,
    "rank_ic_score": rank_ic_score,
    "rank_icir_score": rank_icir_score,
    "quantile_returns": lambda *rows, **days: quantile_returns(*rows, **days, n_quantiles=2),
    "signal_report": lambda *rows, **days: signal_report(*rows, **days, lags=1),
    "by_month": lambda *rows, **days: signal_report(*rows, **days, lags=1, by="month"),
    "by_day": lambda *rows, **days: signal_report(*rows, **days, by="day").drop(columns="left_out"),
    "display": lambda *rows, **days: (
        SignalDisplay.from_predictions(*rows, **days, kind="quantile_returns").quantile_returns
    ),
}


def with_none(values: np.ndarray) -> list:
    return [None if np.isnan(value) else float(value) for value in values]


def masked(values: np.ndarray) -> np.ma.MaskedArray:
    """Numbers stand where the mask hides them."""
    return np.ma.masked_array(np.where(np.isnan(values), 99.0, values), mask=np.isnan(values))


CONTAINERS = {
    "list": with_none,
    "objects": lambda v: np.array(with_none(v), dtype=object),
    "NA in objects": lambda v: pd.Series(with_none(v), dtype=object).fillna(pd.NA),
    "decimals": lambda v: [None if np.isnan(x) else decimal.Decimal(x) for x in v],
    "Float64": lambda v: pd.Series(with_none(v), dtype="Float64"),
    "Float32 frame": lambda v: pd.DataFrame({"a": with_none(v)}, dtype="Float32"),
    "Arrow": lambda v: pd.Series(with_none(v), dtype=pd.ArrowDtype(pa.float64())),
    "pyarrow": lambda v: pa.array(with_none(v)),
    "sparse": lambda v: pd.Series(pd.arrays.SparseArray(v)),
    "sparse frame": lambda v: pd.DataFrame({"a": pd.arrays.SparseArray(v)}),
    "float16": lambda v: v.astype(np.float16),
    "longdouble": lambda v: v.astype(np.longdouble),
    "masked": masked,
    "masked column": lambda v: masked(v)[:, None],
    "masked integers": lambda v: masked(v * 8).astype(int),
    "polars": lambda v: pl.Series(with_none(v)),
    "polars Float32": lambda v: pl.Series(with_none(v), dtype=pl.Float32),
    "polars frame": lambda v: pl.DataFrame({"a": with_none(v)}),
    "polars Decimal": lambda v: pl.Series(with_none(v)).cast(pl.Decimal(10, 3)),
    "tensor": torch.tensor,
    "tensor of a model": lambda v: torch.tensor(v, dtype=torch.float32, requires_grad=True),
    "bfloat16": lambda v: torch.tensor(v, dtype=torch.bfloat16, requires_grad=True)[:, None],
    "negated tensor": lambda v: torch.tensor(1j * v).conj().imag.neg(),
}
SCALES = {"masked integers": 8}


@pytest.fixture
def pyplot():
    """Close the figures that a test has made."""
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_hold_the_same_numbers(container: str, pyplot) -> None:
    make, scale = CONTAINERS[container], SCALES.get(container, 1)
    for score in METRICS.values():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            of_labels = score(make(LABELS), PREDICTIONS, days=DAYS)
            of_predictions = score(LABELS, make(PREDICTIONS), days=DAYS)
        assert_array_equal(of_labels, score(LABELS * scale, PREDICTIONS, days=DAYS))
        assert_array_equal(of_predictions, score(LABELS, PREDICTIONS * scale, days=DAYS))


@pytest.mark.parametrize("make", [list, np.array, pl.Series, torch.tensor, pd.Series])
def test_booleans_are_numbers(make) -> None:
    up = [True, False, True, True, False] * 3
    assert_array_equal(
        daily_ic(make(up), PREDICTIONS, days=DAYS),
        daily_ic(np.array(up, dtype=float), PREDICTIONS, days=DAYS),
    )


def test_missing_integers_and_booleans() -> None:
    numbers = [1, None, 0, 1, 0] * 3
    expected = signal_report(np.array(numbers, dtype=float), PREDICTIONS, days=DAYS, lags=0)
    flags = [None if number is None else bool(number) for number in numbers]
    for labels in (
        pd.Series(numbers, dtype="Int8"),
        pd.Series(flags, dtype="boolean"),
        pl.Series(numbers),
        pl.Series(flags),
    ):
        assert_array_equal(signal_report(labels, PREDICTIONS, days=DAYS, lags=0), expected)


N = len(DAYS)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (PREDICTIONS + 0j, "Complex data"),
        (torch.tensor(PREDICTIONS + 1j), "Complex data"),
        (np.ma.masked_array(PREDICTIONS + 1j, mask=False), "Complex data"),
        (["high"] * N, "'high'"),
        (pl.Series(["high"] * N), "'high'"),
        (pd.Series(["high"] * N, dtype="category"), "'high'"),
        (np.ma.masked_array(["high"] * N), "."),
        (pl.Series(DAYS.to_list()), "datetime64"),
        (np.ma.masked_array(DAYS.to_numpy()), "datetime64"),
        (pl.Series([DAYS[0].date()] * N), "datetime64"),
        (pd.Series(pd.period_range("2024", periods=N)), "Period"),
        ([10**400] * N, "too large"),
        ([[1.0], [1.0, 2.0]] + [[1.0]] * (N - 2), "."),
        (torch.tensor(PREDICTIONS).to_sparse(), "[Ss]parse"),
        (torch.tensor(PREDICTIONS).to("meta"), "meta"),
        (np.c_[PREDICTIONS, PREDICTIONS], r"\(15, 2\)"),
        (torch.zeros(N, 2), r"\(15, 2\)"),
    ],
)
def test_what_is_not_one_number_a_row(values, match: str) -> None:
    for score in (daily_ic, signal_report, quantile_returns):
        with pytest.raises(ValueError, match=rf"\Ay_true must hold one number a row: .*{match}"):
            score(values, PREDICTIONS, days=DAYS)
        with pytest.raises(ValueError, match=rf"\Ay_pred must hold one number a row: .*{match}"):
            score(LABELS, values, days=DAYS)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_a_table_of_two_columns_is_not_one_number_a_row(make) -> None:
    table = make(np.c_[PREDICTIONS, PREDICTIONS])
    for score in (daily_ic, signal_report, quantile_returns):
        with pytest.raises(ValueError, match=r"\Ay_true must hold one number a row: .*\(15, 2\)"):
            score(table, PREDICTIONS, days=DAYS)
    with pytest.raises(ValueError, match=r"\Ay_pred must hold one number a row: .*\(15, 2\)"):
        daily_ic(LABELS, table, days=DAYS)


@pytest.mark.parametrize(
    "values",
    [None, 3.0, torch.tensor(3.0), iter(PREDICTIONS), pl.DataFrame({"a": PREDICTIONS}).lazy()],
    ids=["None", "float", "tensor", "iterator", "lazy"],
)
def test_what_has_no_rows(values) -> None:
    for score in (daily_ic, signal_report, quantile_returns):
        for name, rows in {"y_true": (values, LABELS), "y_pred": (LABELS, values)}.items():
            match = rf"\A{name} must hold one value a row.*\b{type(values).__name__}\b"
            with pytest.raises(TypeError, match=match):
                score(*rows, days=DAYS)


def test_a_masked_prediction_is_missing() -> None:
    with pytest.raises(ValueError, match=r"y_pred has 2 NaN among 15 predictions"):
        daily_ic(PREDICTIONS, masked(LABELS), days=DAYS)
    with pytest.raises(ValueError, match=r"y_pred has 1 infinite"):
        daily_ic(
            LABELS, torch.tensor(PREDICTIONS).index_fill(0, torch.tensor(4), torch.inf), days=DAYS
        )


@pytest.mark.parametrize(
    "make",
    [pl.Series, torch.tensor, np.array, lambda v: torch.tensor(v, dtype=torch.bfloat16)],
)
def test_groups_in_other_containers(make) -> None:
    group = [0, 1, 0, 1, 1] * 3
    report = signal_report(LABELS, PREDICTIONS, days=DAYS, by=make(group), lags=0)
    pd.testing.assert_frame_equal(
        report,
        signal_report(LABELS, PREDICTIONS, days=DAYS, by=group, lags=0),
        check_index_type=False,
    )


def test_days_and_groups_that_belong_to_other_rows(pyplot) -> None:
    labels, predictions = pd.Series(LABELS, INDEX), pd.Series(PREDICTIONS, INDEX)
    days = pd.Series(DAYS, INDEX)
    expected = daily_ic(labels, predictions)
    assert_array_equal(daily_ic(labels, predictions, days=days), expected)
    model = Says(predictions).fit(labels.to_frame())
    for score in METRICS.values():
        for rows in ((labels, PREDICTIONS), (LABELS, predictions)):
            with pytest.raises(ValueError, match=r"and days have the same length but different"):
                score(*rows, days=days[::-1])
    with pytest.raises(ValueError, match=r"X and days have the same length but different"):
        ic_scorer(model, labels.to_frame(), LABELS, days=days[::-1])
    with pytest.raises(ValueError, match=r"X and days have the same length but different"):
        SignalDisplay.from_estimator(model, labels.to_frame(), LABELS, days=days[::-1])
    with pytest.raises(ValueError, match=r"y_true, by must have the same number .*\b15, 2\b"):
        signal_report(labels, predictions, by=[1, 2])


class Says(RegressorMixin, BaseEstimator):
    """A model that predicts what it is told, in whatever container."""

    def __init__(self, answer=None) -> None:
        self.answer = answer

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return self.answer


@pytest.mark.parametrize("container", ["polars", "tensor of a model", "Float32 frame", "Arrow"])
def test_scorers_of_models_that_predict_other_containers(container: str, pyplot) -> None:
    make = CONTAINERS[container]
    X, model = pd.DataFrame({"a": PREDICTIONS}, INDEX), Says(make(PREDICTIONS)).fit(None)
    expected = ic_score(LABELS, PREDICTIONS, days=DAYS)
    assert ic_scorer(model, X, make(LABELS)) == expected
    assert ic_scorer(model, X.to_numpy(), make(LABELS), days=DAYS) == expected
    display = SignalDisplay.from_estimator(model, X, make(LABELS), kind="monthly_ic")
    assert display.daily["ic"].mean() == expected


def test_scorers_of_what_cannot_predict() -> None:
    X = pd.DataFrame({"a": PREDICTIONS}, INDEX)
    for model in (object(), BaseEstimator()):
        with pytest.raises(TypeError, match="estimator must have a method predict"):
            ic_scorer(model, X, LABELS)
    with pytest.raises(TypeError, match=r"y_pred must hold one value a row.*NoneType"):
        ic_scorer(Says().fit(X), X, LABELS)


def test_numbers_of_numpy_as_parameters(pyplot) -> None:
    for name, number in (
        ("quantile", np.float32(0.25)),
        ("lags", np.int8(1)),
        ("by", np.str_("month")),
    ):
        parameters = {"lags": 0, name: number}
        plain = {"lags": 0, name: number.item()}
        assert_array_equal(
            signal_report(LABELS, PREDICTIONS, days=DAYS, **parameters),
            signal_report(LABELS, PREDICTIONS, days=DAYS, **plain),
        )
    for wrong in ({"quantile": True}, {"lags": np.True_}, {"days_per_year": True}, {"lags": 1.0}):
        with pytest.raises(ValueError, match=rf"{next(iter(wrong))} must be"):
            signal_report(LABELS, PREDICTIONS, days=DAYS, **wrong)
    with pytest.raises(ValueError, match=r"n_quantiles must be an int.*True"):
        quantile_returns(LABELS, PREDICTIONS, days=DAYS, n_quantiles=True)
    with pytest.raises(ValueError, match=r"name must be a str or None; got 5"):
        SignalDisplay.from_predictions(LABELS, PREDICTIONS, days=DAYS, name=5)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_the_range_of_the_largest_numbers(method) -> None:
    large = np.array([-1.7e308, 1.7e308, 0.0, 1e307, 5e307] * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = daily_ic(large, PREDICTIONS, days=DAYS, method=method)
    expected = daily_ic(large / 1e300, PREDICTIONS, days=DAYS, method=method)
    pd.testing.assert_series_equal(found, expected)
    assert found.notna().all()
