"""Simulated stock market with a known best reachable score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skattn.datasets._simulation import Component, simulate
from skattn.labels import make_label
from skattn.panel.internal import read_day
from skattn.parameters import check_value, shown

# Number of past periods from which a cycle is read.
CYCLES = 2
# Larger numbers are slips that would fill the memory. 150,000 business days are 575 years.
MAX_DAYS, MAX_CELLS = 150_000, 100_000_000


def make_market(
    n_stocks: int = 50,
    n_days: int = 500,
    *,
    momentum: float = 0.05,
    reversal: float = 0.05,
    sector: float = 0.07,
    periodic: float = 0.0,
    lagged: float = 0.0,
    momentum_lookback: int = 20,
    reversal_lookback: int = 5,
    sector_lookback: int = 1,
    n_sectors: int | None = None,
    periods: Sequence[int] = (5, 11, 23),
    lag: int = 10,
    start: Any = "2010-01-04",
    late_listings: float = 0.1,
    missing_days: float = 0.01,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> Bunch:
    """Simulate daily prices with a planted signal.

    The return of stock i on day t + 2 is ``signal[i, t] + market[t + 2] + noise[i, t + 2]``. The
    signal is a function of the closes in the table up to day t. Market and noise are
    unpredictable. The signal is therefore the expectation of the label of day t (up to a constant
    per day), and no model can, on average, score above ``ic_ceiling``.

    The signal is a sum of components. A component is a score of recent returns (relative to the
    market's mean), standardised over the stocks of each day, times its strength s. The strength
    is the component's standard deviation as a fraction of the noise's standard deviation. A
    component alone has a daily information coefficient (IC) of about ``s / sqrt(1 + s**2)``.
    Independent components add like variances.

    Parameters
    ----------
    n_stocks : int, default=50
        Number of stocks, at least 2.
    n_days : int, default=500
        Number of business days. Must exceed the longest lookback of an active component by at
        least three days. With the same seed, a longer market begins with the shorter market
        (from 500 days on, or without late listings).
    momentum : float in [0, 1], default=0.05
        Strength of momentum: past winners win. The last days are left out, as in [1]_.
    reversal : float in [0, 1], default=0.05
        Strength of short-term reversal: winners of the last days lose [2]_.
    sector : float in [0, 1], default=0.07
        Strength of the lead-lag within sectors [3]_: a stock follows the mean return of the
        other stocks of its sector. The stock's own prices say almost nothing about this component.
    periodic : float in [0, 1], default=0.0
        Strength of the cycles: a stock repeats its returns of one period and of two periods
        before the predicted day, summed over ``periods``. The cycles are a seasonal
        autoregression, with a phase and an amplitude for each stock.
    lagged : float in [0, 1], default=0.0
        Strength of the planted lag: only the return of day ``t - lag`` predicts.
    momentum_lookback, reversal_lookback : int, default=20, 5
        Lookbacks in days. Reversal reads the latest ``reversal_lookback`` returns. Momentum reads
        the latest ``momentum_lookback`` returns, without the returns that reversal reads.
    sector_lookback : int, default=1
        Number of days of returns that lead the stocks of a sector.
    n_sectors : int, default=None
        Number of sectors, whose sizes differ by at most one stock. None: one sector per ten
        stocks, at least 2.
    periods : sequence of int, default=(5, 11, 23)
        Lengths of the cycles in days, each at least 2.
    lag : int, default=10
        Position of the planted lag, in days before day t (0 is the latest return).
    start : str or datetime-like, default="2010-01-04"
        First day. If the day is not a business day, the market starts on the next business day.
    late_listings : float in [0, 1), default=0.1
        Share of the stocks that list late, on a random day among the first 250, but at the latest
        halfway.
    missing_days : float in [0, 1), default=0.01
        Share of single rows that are missing from the table.
    random_state : int, RandomState instance, Generator instance or None, default=None
        Seed. None: another market at each call. numpy's global state is neither used nor changed.

    Returns
    -------
    market : Bunch
        ohlcv : pandas.DataFrame of shape (n_rows, 5)
            open, high, low, close (float64) and volume in shares (int64); index (datetime,
            instrument), sorted.
        concepts : pandas.Series of shape (n_stocks,)
            Sector of each instrument, named "sector".
        label : pandas.Series of shape (n_rows,)
            Label of ``skattn.make_label``, ``close[t + 2] / close[t + 1] - 1`` as a fraction, with
            the same index. NaN on the last two days, and if the stock misses either of the days
            t + 1 and t + 2.
        signal : pandas.Series of shape (n_rows,)
            Planted expectation of the label, up to a constant per day; same index.
        ic_ceiling : float
            Mean daily Pearson IC of the signal itself, on this sample; 0.0 without components.
        DESCR : str
            Description of the simulation.

    Raises
    ------
    ValueError
        A parameter is out of its range, or ``n_days`` or ``n_stocks`` is too small for the active
        components.

    Notes
    -----
    Each stock's volatility (1 to 3 % per day) is a log-autoregression around the stock's own
    level. Shocks are Student t with five degrees of freedom. High volume comes with large moves.
    Before a stock has history, unknown returns count as the market's return. A close after a
    missing row yields the return over the gap. Scores are clipped at four standard deviations. A
    stock a thousand times above (below) its first price has no positive (negative) signal. Both
    limits keep prices in range at any strength, and hardly ever matter at small strengths.

    References
    ----------
    .. [1] N. Jegadeesh and S. Titman, "Returns to Buying Winners and Selling Losers", Journal of
       Finance 48 (1993).
    .. [2] N. Jegadeesh, "Evidence of Predictable Behavior of Security Returns", Journal of
       Finance 45 (1990).
    .. [3] K. Hou, "Industry Information Diffusion and the Lead-lag Effect in Stock Returns",
       Review of Financial Studies 20 (2007).

    Examples
    --------
    >>> from skattn.datasets import make_market
    >>> market = make_market(n_stocks=100, n_days=500, random_state=0)
    >>> market.ohlcv.columns.tolist()
    ['open', 'high', 'low', 'close', 'volume']
    >>> market.concepts.nunique()
    10
    >>> round(market.ic_ceiling, 2)
    0.1
    """
    for name, days in (
        ("momentum_lookback", momentum_lookback),
        ("reversal_lookback", reversal_lookback),
        ("sector_lookback", sector_lookback),
    ):
        check_value(name, days, "int", at_least=1, at_most=MAX_DAYS)
    momentum, reversal, sector, periodic, lagged = (
        check_value(name, strength, "float", at_least=0, at_most=1)
        for name, strength in (
            ("momentum", momentum),
            ("reversal", reversal),
            ("sector", sector),
            ("periodic", periodic),
            ("lagged", lagged),
        )
    )
    for name, share in (("late_listings", late_listings), ("missing_days", missing_days)):
        check_value(name, share, "float", at_least=0, below=1)
    n_stocks = check_value("n_stocks", n_stocks, "int", at_least=2, at_most=MAX_CELLS)
    n_days = check_value("n_days", n_days, "int", at_least=3, at_most=MAX_DAYS)
    n_sectors = check_value("n_sectors", n_sectors, "int | None", at_least=2)
    lag = check_value("lag", lag, "int", at_least=0, at_most=MAX_DAYS)
    check_value("periods", periods, "list", instance_of=(list, tuple))
    components = _components(
        momentum=(momentum, range(reversal_lookback, momentum_lookback)),
        reversal=(-reversal, range(reversal_lookback)),
        sector=(sector, range(sector_lookback)),
        periodic=(periodic, _cycle_lags(periods)),
        lagged=(lagged, (lag,)),
    )
    n_sectors = n_sectors or max(2, n_stocks // 10)
    if sector and n_stocks < 2 * n_sectors:
        raise ValueError(
            f"n_stocks must be at least 2 * n_sectors = {2 * n_sectors}, so that every sector has "
            f"at least two stocks; got {n_stocks}. sector=0 switches the component off."
        )
    _check_n_days(n_days, components)
    if start is None:
        raise ValueError("start must be a date such as '2010-01-04'; got None.")
    if n_stocks * n_days > MAX_CELLS:
        raise ValueError(
            f"n_stocks * n_days must be at most {MAX_CELLS:,}, so that the market fits into "
            f"memory; got {n_stocks:,} * {n_days:,}."
        )
    calendar = _calendar(start, n_days)

    rng = _generator(random_state)
    sector_of = rng.permutation(n_stocks) % n_sectors
    grids, present = simulate(
        rng, components, sector_of, n_days, late_listings=late_listings, missing_days=missing_days
    )
    day, stock = np.nonzero(present)
    width = len(str(n_stocks - 1))
    instruments = pd.Index([f"S{i:0{width}d}" for i in range(n_stocks)], name="instrument")
    index = pd.MultiIndex(
        levels=[calendar, instruments], codes=[day, stock], names=["datetime", "instrument"]
    )
    table = pd.DataFrame({name: grid[present] for name, grid in grids.items()}, index=index)
    signal = table.pop("signal")
    label = make_label(table)
    ceiling = _mean_daily_ic(day, signal.to_numpy(), label.to_numpy())
    width = len(str(n_sectors - 1))
    sectors = [f"sector_{k:0{width}d}" for k in sector_of]
    strengths = ", ".join(f"{c.name} {abs(c.strength):g}" for c in components) or "none"
    return Bunch(
        ohlcv=table,
        concepts=pd.Series(sectors, index=instruments, name="sector"),
        label=label,
        signal=signal,
        ic_ceiling=ceiling,
        DESCR=(
            f"Simulated market: {n_stocks} stocks in {n_sectors} sectors, {n_days} business days "
            f"from {calendar[0].date()}, {len(table)} rows.\nPlanted components (standard "
            f"deviation over noise): {strengths}.\nThe best mean daily IC is {ceiling:.4f}."
        ),
    )


def _components(**given: tuple[float, Iterable[int]]) -> list[Component]:
    components = [Component(n, s, tuple(lags)) for n, (s, lags) in given.items() if s != 0]
    for component in components:
        if component.lags:
            continue
        if component.name == "momentum":
            raise ValueError(
                "momentum_lookback must be larger than reversal_lookback, because momentum leaves "
                "out the latest reversal_lookback days."
            )
        raise ValueError("periods must hold at least one period; got none.")
    return components


def _cycle_lags(periods: Sequence[int]) -> list[int]:
    for period in periods:
        if not isinstance(period, Integral) or period < 2:
            raise ValueError(
                f"periods must hold ints of at least 2, because a label lies two days ahead; "
                f"got {shown(period)} in {shown(periods)}."
            )
    return [k * int(period) - 2 for period in periods for k in range(1, CYCLES + 1)]


def _check_n_days(n_days: int, components: list[Component]) -> None:
    for component in components:
        lookback = max(component.lags) + 1
        if n_days < lookback + 3:
            raise ValueError(
                f"n_days must be at least {lookback + 3}: the component {component.name!r} looks "
                f"{lookback} returns back, and a label lies two days ahead; got {n_days}."
            )


def _calendar(start: Any, n_days: int) -> pd.DatetimeIndex:
    day = read_day("start", start, last=False)
    try:
        return pd.bdate_range(day, periods=n_days)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"n_days={n_days:,} business days from start={day.date()} lead to dates that pandas "
            f"cannot hold: {error}"
        ) from error


def _generator(random_state: Any) -> np.random.Generator:
    check_value(
        "random_state",
        random_state,
        "int | RandomState | None",
        at_least=0,
        at_most=2**32 - 1,
        instance_of=(np.random.RandomState, np.random.Generator),
    )
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(random_state)


def _mean_daily_ic(day: np.ndarray, signal: np.ndarray, label: np.ndarray) -> float:
    """Mean daily Pearson correlation; 0 if no day has a correlation."""
    labelled = ~np.isnan(label)
    day, x, y = day[labelled], signal[labelled], label[labelled]
    n = np.maximum(np.bincount(day), 1)
    x = x - (np.bincount(day, x) / n)[day]
    y = y - (np.bincount(day, y) / n)[day]
    xy, xx, yy = (np.bincount(day, product) for product in (x * y, x * x, y * y))
    defined = (xx > 0) & (yy > 0)
    ic = xy[defined] / np.sqrt(xx[defined] * yy[defined])
    return float(ic.mean()) if len(ic) else 0.0
