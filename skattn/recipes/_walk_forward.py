"""From prices to an out-of-sample signal."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import pandas as pd

from skattn.labels import check_labels, make_label
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.panel import align_y, check_index
from skattn.panel.internal import rename_hint
from skattn.parameters import check_lengths, check_value, shown
from skattn.recipes._model import TRAINING, make_signal_model
from skattn.utils import warn_user

NEEDED = ("open", "high", "low", "close")
# The longest feature looks back 60 days, and the window 10 days more.
LOOKBACK, WINDOW = 60, 10
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
        Further parameters of :func:`make_signal_model` and of the models. Without ``volume``,
        volume is used where there is some. Without ``max_epochs`` the number of epochs is 3, or
        more (at most 50) where fewer rows or days need more epochs for 500 steps.

    Returns
    -------
    signal : Series
        Predictions named "signal" of all rows on test days. Days whose labels look into the test
        days are left out of training.

    Raises
    ------
    TypeError
        ``ohlcv`` is not a table, or ``label`` is not a Series.
    ValueError
        ``ohlcv`` lacks a price column, its index is not (datetime, instrument), fewer than 70 days
        come before the first test day, ``label`` has other rows or no value, or another parameter
        is out of range.

    Warns
    -----
    UserWarning
        There is no volume, or there are fewer than 30 stocks.

    Examples
    --------
    >>> from skattn.datasets import make_market
    >>> from skattn.recipes import walk_forward_signal
    >>> ohlcv = make_market(n_stocks=30, n_days=150, random_state=0).ohlcv
    >>> signal = walk_forward_signal(
    ...     ohlcv, n_splits=2, test_size=30, n_seeds=1, hidden_size=8, max_epochs=1
    ... )
    >>> signal.index.unique("datetime").size
    60
    """
    n_splits = check_value("n_splits", n_splits, "int", at_least=2, at_most=MAX_SPLITS)
    test_size = check_value("test_size", test_size, "int | None", at_least=1)
    ohlcv, recipe["volume"] = _read_prices(ohlcv, recipe.get("volume"))
    n_days = _check_size(ohlcv, n_splits, test_size)
    model = make_signal_model(models, **recipe)
    if "max_epochs" not in recipe:
        # On average, the folds are trained on half of the days.
        model = _trained_long_enough(model, len(ohlcv) / 2, n_days / 2)
    label = _make_label(ohlcv) if label is None else _read_label(label, ohlcv)
    cv = DailyTimeSeriesSplit(n_splits, test_size=test_size)
    return cross_val_signal(model, ohlcv, label, cv=cv, n_jobs=n_jobs)


def _read_prices(ohlcv: Any, volume: Any) -> tuple[pd.DataFrame, bool]:
    """Check the prices; tell whether volume is there and wanted."""
    if not isinstance(ohlcv, pd.DataFrame):
        raise TypeError(
            f"ohlcv must be a DataFrame with a (datetime, instrument) index, as skattn.from_long "
            f"makes it; got {shown(ohlcv)}."
        )
    check_index(ohlcv.index, "ohlcv")
    columns = [*ohlcv.columns]
    if missing := [name for name in NEEDED if name not in columns]:
        raise ValueError(
            f"ohlcv lacks the column{'s' if len(missing) > 1 else ''} {missing}; it has {columns}. "
            f"The recipe needs {', '.join(NEEDED)}, and uses volume where it is there."
            f"{rename_hint(columns, missing, 'ohlcv')}"
        )
    if double := [name for name in (*NEEDED, "volume") if columns.count(name) > 1]:
        raise ValueError(f"ohlcv has more than one column {double}; keep one of each.")
    wanted = check_value("volume", volume, "bool | None")
    has_volume = "volume" in columns and _has_values(ohlcv["volume"])
    if wanted and not has_volume:
        raise ValueError(
            f"volume=True needs the column 'volume' with values above 0; ohlcv has {columns}"
            f"{', where volume is 0 or missing in all rows' if 'volume' in columns else ''}. "
            f"volume=None takes what is there.{rename_hint(columns, ['volume'], 'ohlcv')}"
        )
    if wanted is None and not has_volume:
        warn_user(
            f"ohlcv has no volume: the recipe leaves out the 40 features of Alpha158 and the field "
            f"of Alpha360 that need volume, as volume=False does without this warning."
            f"{rename_hint(columns, ['volume'], 'ohlcv')}"
        )
    uses_volume = has_volume and wanted is not False
    return ohlcv[[*NEEDED, *(["volume"] if uses_volume else [])]], uses_volume


def _has_values(volume: pd.Series) -> bool:
    """Tell whether any volume is known; what is no number is refused where volume is read."""
    known = volume.notna()
    return bool(known.any()) and not bool((volume[known] == 0).all())


def _check_size(ohlcv: pd.DataFrame, n_splits: int, test_size: int | None) -> int:
    """Check that the first fit has days to learn from, and give the number of days."""
    n_days = ohlcv.index.get_level_values("datetime").nunique()
    n_tested = n_splits * (test_size or n_days // (n_splits + 1))
    least = LOOKBACK + WINDOW
    if n_days - n_tested < least:
        needed = least * (n_splits + 1) if test_size is None else least + n_splits * test_size
        raise ValueError(
            f"ohlcv has {n_days} days, of which {max(n_days - n_tested, 0)} come before the first "
            f"test day with n_splits={n_splits} and test_size={test_size}. The recipe needs "
            f"{least} there: the longest feature looks back {LOOKBACK} days, and the window "
            f"{WINDOW} more. Pass {needed} days or more, fewer n_splits, or a smaller test_size."
        )
    n_stocks = ohlcv.index.get_level_values("instrument").nunique()
    if n_stocks < FEW_STOCKS:
        warn_user(
            f"ohlcv has {n_stocks} stocks: with fewer than {FEW_STOCKS}, ranks within a day say "
            f"little, and the settings of the recipe were found with 300."
        )
    return n_days


def _make_label(ohlcv: pd.DataFrame) -> pd.Series:
    """Make the label, and check that a stock has one."""
    label = make_label(ohlcv)
    if label.isna().all():
        raise ValueError(
            f"ohlcv gives no label: none of its {len(ohlcv)} rows is followed by two days on which "
            f"the stock has a close. Look for closes that are 0 or missing, and for stocks whose "
            f"name changes by day."
        )
    return label


def _read_label(label: Any, ohlcv: pd.DataFrame) -> pd.Series:
    """Check that the label has the rows of the prices, and a value in any."""
    if not isinstance(label, pd.Series):
        raise TypeError(
            f"label must be a Series with the index of ohlcv, as skattn.make_label makes it, or "
            f"None; got {shown(label)}."
        )
    check_lengths({"ohlcv": ohlcv}, label=label)
    check_index(label.index, "label")
    align_y(ohlcv, label, names=("ohlcv", "label"))
    check_labels(label, "label")
    return label


def _trained_long_enough(model: Any, n_rows: float, n_days: float) -> Any:
    """Set the epochs of each model, so that a fit has about as many steps as the recipe's."""
    params = model.get_params()
    epochs = {}
    for name in params:
        if name.rpartition("__")[2] != "max_epochs":
            continue
        prefix = name.removesuffix("max_epochs")
        if params.get(f"{prefix}batch") == "days":
            size = params[f"{prefix}days_per_batch"]
            size = check_value("days_per_batch", size, "int | None", at_least=1) or 1
            n_batches = n_days / size
        else:
            size = params.get(f"{prefix}batch_size", TRAINING["batch_size"])
            n_batches = n_rows / check_value("batch_size", size, "int", at_least=1)
        epochs[name] = min(max(ceil(STEPS / n_batches), int(TRAINING["max_epochs"])), MAX_EPOCHS)
    return model.set_params(**epochs)
