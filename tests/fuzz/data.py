"""A case of the fuzzer, and the data of the valid calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from helpers import SECTORS

from skattn import compose, models
from skattn.datasets import make_market


@dataclass(frozen=True, eq=False)
class Case:
    """A valid call, of which each argument in turn gets hostile values.

    Parameters
    ----------
    covers : str
        The public callable, such as "skattn.panel.days_of".
    name : str
        The name of the case: the callable, and the method where there is one.
    call : callable
        Takes the arguments by name.
    arguments : callable
        Takes a folder, and gives the valid arguments.
    kinds : dict
        Kind of an argument's hostile values, where "scalar" does not say it all.
    words : dict
        Further words by which an error may call an argument.
    is_slow : bool
        Whether only the long mode runs the case.
    also : tuple of type
        Further types of errors that are ours, such as the IndexError of a sequence.
    excused : frozenset of str
        Values by argument, such as "transform-lambda", that are allowed and fail in the user's own
        code, or take long as they should.
    """

    covers: str
    name: str
    call: Callable[..., Any]
    arguments: Callable[[Path], dict[str, Any]]
    kinds: dict[str, str] = field(default_factory=dict)
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_slow: bool = False
    also: tuple[type[Exception], ...] = ()
    excused: frozenset[str] = frozenset()


# The data of the valid calls -----------------------------------------------------------------


@cache
def market() -> Any:
    return make_market(4, 24, late_listings=0, missing_days=0, random_state=0)


@cache
def long_market() -> Any:
    """A market with as many days as the recipe needs."""
    return make_market(4, 80, late_listings=0, missing_days=0, random_state=0)


@cache
def long_table() -> pd.DataFrame:
    return market().ohlcv.reset_index()


@cache
def stocks() -> pd.MultiIndex:
    days = pd.bdate_range("2024-01-01", periods=8, name="datetime")
    return pd.MultiIndex.from_product([days, ["S0", "S1", "S4"]], names=["datetime", "instrument"])


@cache
def days() -> np.ndarray:
    return stocks().get_level_values("datetime").to_numpy()


@cache
def stock_names() -> np.ndarray:
    return stocks().get_level_values("instrument").to_numpy(dtype=object)


@cache
def calendar() -> np.ndarray:
    """The days of the market and of the table, and days before and after."""
    of_market = pd.bdate_range("2009-12-01", "2010-03-01")
    return of_market.append(pd.bdate_range("2023-12-01", "2024-02-01")).to_numpy()


@cache
def cube() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(stocks()), 4, 2)).astype(np.float32)


@cache
def series() -> pd.Series:
    label = pd.Series(cube()[:, -1, 0].astype(float), stocks(), name="label")
    label.attrs["reach"] = 1
    return label


@cache
def table() -> pd.DataFrame:
    names = [f"{name}{lag}" for name in "ab" for lag in range(2)]
    return pd.DataFrame(cube().reshape(len(stocks()), -1)[:, :4].astype(float), stocks(), names)


@cache
def fitted(name: str) -> Any:
    cls, params = MODELS[name]
    return cls(**{**TRAINING, **params}).fit(cube(), series())


def small_gru(**params: Any) -> models.GRURegressor:
    return models.GRURegressor(**{**TRAINING, **MODELS["gru"][1], **params})


def small_hist(**params: Any) -> models.HISTRegressor:
    return models.HISTRegressor(**{**TRAINING, **MODELS["hist"][1], "concepts": None, **params})


@cache
def fitted_target() -> compose.CrossSectionalTarget:
    return compose.CrossSectionalTarget(small_gru()).fit(cube(), series())


def data(**arguments: Any) -> Callable[[Path], dict[str, Any]]:
    """Make the arguments of a call, the same in every folder; functions are called."""

    def make(folder: Path) -> dict[str, Any]:
        return {
            name: value() if inspect.isfunction(inspect.unwrap(value)) else value
            for name, value in arguments.items()
        }

    return make


TRAINING = {"max_epochs": 1, "batch_size": 16, "random_state": 0, "early_stopping": False}
MODELS = {
    "alstm": (models.ALSTMRegressor, {"hidden_size": 4, "num_layers": 1}),
    "gru": (models.GRURegressor, {"hidden_size": 4, "num_layers": 1}),
    "lstm": (models.LSTMRegressor, {"hidden_size": 4, "num_layers": 1}),
    "hist": (models.HISTRegressor, {"hidden_size": 4, "num_layers": 1, "concepts": SECTORS}),
    "sfm": (models.SFMRegressor, {"hidden_size": 4, "freq_dim": 3, "output_dim": 2}),
    "transformer": (
        models.TransformerRegressor,
        {"d_model": 4, "nhead": 1, "num_layers": 1, "dim_feedforward": 8},
    ),
}
ROWS = ("X", "rows", "windows", "table", "array", "index", "column", "feature", "level", "Input")
LABELS = ("y", "label", "stock")
DAYS = ("days", "trading day")
