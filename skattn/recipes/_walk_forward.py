"""From prices to an out-of-sample signal."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import pandas as pd

from skattn.labels import make_label
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.panel import check_index
from skattn.parameters import check_value, shown
from skattn.recipes._model import TRAINING, make_signal_model
from skattn.utils import warn_user

NEEDED = ("open", "high", "low", "close")
# The longest feature looks back 60 days, the window 10 more; as many days are for training.
MIN_DAYS = 140
# With fewer stocks a rank within the day says little.
FEW_STOCKS = 30
# Steps of training that the recipe was tuned with.
STEPS = 500
MAX_EPOCHS = 50
MAX_SPLITS = 1_000


def walk_forward_signal(
    ohlcv: pd.DataFrame,
    models: str | Sequence[str] = "gru",
    *,
    label: pd.Series | None = None,
    n_splits: int = 5,
    test_size: int | None = None,
    n_jobs: int | None = None,
    **recipe: Any,
) -> pd.Series:
    """Predict each test day by models that were trained on the days before: prices to a signal.

    Parameters
    ----------
    ohlcv : DataFrame with a (datetime, instrument) index
        Prices with the columns open, high, low and close; volume is used if it is there. Other
        columns are left out. :func:`skattn.from_long` makes the table.
    models : str or sequence of str, default="gru"
        Names of models that vote; see :func:`make_signal_model`.
    label : Series with the index of ``ohlcv``, default=None
        Return to predict. None: :func:`skattn.make_label`, the return from tomorrow's close to the
        next. Set it to NaN where prices are known to be wrong, such as at unadjusted splits.
    n_splits : int, default=5
        How often the models are trained; see :class:`skattn.model_selection.DailyTimeSeriesSplit`.
    test_size : int, default=None
        Days that each fit predicts. None: ``days // (n_splits + 1)``.
    n_jobs : int, default=None
        Number of fits at a time, in processes; see :func:`skattn.model_selection.cross_val_signal`.
    **recipe : object
        Further parameters of :func:`make_signal_model` and of the models. Without ``max_epochs``
        the number of epochs is 3, or more where fewer rows need more epochs for 500 steps.

    Returns
    -------
    signal : Series
        Predictions named "signal" of all rows on test days. Days whose labels look into the test
        days are left out of training.

    Raises
    ------
    TypeError
        ``ohlcv`` is not a table.
    ValueError
        ``ohlcv`` lacks a price column, its index is not (datetime, instrument), it has fewer than
        140 days, or another parameter is out of range.

    Warns
    -----
    UserWarning
        There is no volume, or there are fewer than 30 stocks.

    Examples
    --------
    >>> from skattn.datasets import make_market
    >>> from skattn.recipes import walk_forward_signal
    >>> ohlcv = make_market(n_stocks=30, n_days=160, random_state=0).ohlcv
    >>> signal = walk_forward_signal(ohlcv, n_splits=2, n_seeds=1, hidden_size=8, max_epochs=1)
    >>> signal.index.unique("datetime").size
    106
    """
    ohlcv, volume = _read_prices(ohlcv)
    n_splits = check_value("n_splits", n_splits, "int", at_least=2, at_most=MAX_SPLITS)
    label = make_label(ohlcv) if label is None else label
    cv = DailyTimeSeriesSplit(n_splits, test_size=test_size)
    if "max_epochs" not in recipe:
        batch_size = recipe.get("batch_size", TRAINING["batch_size"])
        n_rows = len(ohlcv) / 2  # on average over the folds
        epochs = ceil(STEPS * batch_size / n_rows)
        recipe["max_epochs"] = min(max(epochs, int(TRAINING["max_epochs"])), MAX_EPOCHS)
    recipe = {"volume": volume, **recipe}
    model = make_signal_model(models, **recipe)
    return cross_val_signal(model, ohlcv, label, cv=cv, n_jobs=n_jobs)


def _read_prices(ohlcv: Any) -> tuple[pd.DataFrame, bool]:
    """Check the prices; tell whether there is volume."""
    if not isinstance(ohlcv, pd.DataFrame):
        raise TypeError(
            f"ohlcv must be a DataFrame with a (datetime, instrument) index, as skattn.from_long "
            f"makes it; got {shown(ohlcv)}."
        )
    check_index(ohlcv.index)
    if missing := [name for name in NEEDED if name not in ohlcv.columns]:
        raise ValueError(
            f"ohlcv lacks the columns {missing}; it has {list(ohlcv.columns)}. The recipe needs "
            f"{', '.join(NEEDED)}, and uses volume where it is there."
        )
    n_days = ohlcv.index.get_level_values("datetime").nunique()
    if n_days < MIN_DAYS:
        raise ValueError(
            f"ohlcv has {n_days} days; the recipe needs {MIN_DAYS} or more: the longest feature "
            f"looks back 60 days and the window 10, and the models need days to learn from."
        )
    volume = "volume" in ohlcv.columns and bool((ohlcv["volume"] > 0).any())
    if not volume:
        warn_user(
            "ohlcv has no volume: the recipe leaves out the 40 features of Alpha158 and the field "
            "of Alpha360 that need volume."
        )
    n_stocks = ohlcv.index.get_level_values("instrument").nunique()
    if n_stocks < FEW_STOCKS:
        warn_user(
            f"ohlcv has {n_stocks} stocks: with fewer than {FEW_STOCKS}, ranks within a day say "
            f"little, and the settings of the recipe were found with 300."
        )
    return ohlcv[[*NEEDED, *(["volume"] if volume else [])]], volume
