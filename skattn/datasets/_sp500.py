"""Real prices of 20 stocks of the S&P 500."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from skattn.labels import make_label
from skattn.panel.internal import read_day
from skattn.parameters import shown

_DESCR = """\
Closing prices of 20 stocks of the S&P 500, {first} to {last}: {n_rows} rows.
The prices are adjusted for splits and dividends. Early prices are small, and rounded to 0.001.
The source is the package skfolio, `skfolio.datasets.load_sp500_dataset`. The stocks were chosen
with hindsight (all of them survived), so measured profits are too high. Use the data for examples
and tests, not for research."""


def load_sp500(*, start: Any = None, end: Any = None) -> Bunch:
    """Load the daily closing prices of 20 stocks of the S&P 500, 1990 to 2022.

    The prices come from the installed package skfolio [1]_. Nothing is downloaded.

    Parameters
    ----------
    start, end : str or datetime-like, default=None
        First and last day to keep, both included. None: 1990-01-02 and 2022-12-28. "2014" and
        "2014-06" mean the whole year or month. The label is made from the kept prices, so the last
        two kept days have no label.

    Returns
    -------
    data : Bunch
        ohlcv : pandas.DataFrame of shape (n_rows, 1)
            Column "close" in dollars, adjusted; index (datetime, instrument), sorted.
        label : pandas.Series of shape (n_rows,)
            Label of ``skattn.make_label``, ``close[t + 2] / close[t + 1] - 1`` as a fraction, with
            the same index; NaN on the last two days.
        DESCR : str
            Description of the data.

    Raises
    ------
    ImportError
        skfolio is not installed.
    ValueError
        ``start`` or ``end`` is not a date, or no day lies between them.

    References
    ----------
    .. [1] skfolio, ``skfolio.datasets.load_sp500_dataset``, https://skfolio.org.

    Examples
    --------
    >>> from skattn.datasets import load_sp500
    >>> data = load_sp500(start="2022-12-22")
    >>> data.label.unstack()[["AAPL", "XOM"]].round(4)
    instrument    AAPL     XOM
    datetime
    2022-12-22 -0.0139  0.0139
    2022-12-23 -0.0307 -0.0164
    2022-12-27     NaN     NaN
    2022-12-28     NaN     NaN
    """
    try:
        from skfolio.datasets import load_sp500_dataset
    except ImportError as error:
        raise ImportError(
            "load_sp500 reads prices from the package skfolio, and skfolio cannot be imported: "
            'pip install "skattn[examples]"'
        ) from error
    prices = load_sp500_dataset().rename_axis(index="datetime", columns="instrument")
    first, last = read_day("start", start, last=False), read_day("end", end, last=True)
    kept = prices.loc[first:last]
    if kept.empty:
        raise ValueError(
            f"No trading day lies between start={shown(start)} and end={shown(end)}; the prices go "
            f"from {prices.index[0].date()} to {prices.index[-1].date()}."
        )
    kept = kept.sort_index(axis="columns")
    index = pd.MultiIndex.from_product([kept.index, kept.columns])
    close = pd.Series(kept.to_numpy().ravel(), index=index, name="close").dropna()
    descr = _DESCR.format(first=kept.index[0].date(), last=kept.index[-1].date(), n_rows=len(close))
    return Bunch(ohlcv=close.to_frame(), label=make_label(close), DESCR=descr)
