"""A simulated stock market in which the best reachable score is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from skattn.datasets._simulation import Component, simulate
from skattn.preprocessing import make_label

# A cycle is read from its last two periods.
CYCLES = 2

_STRENGTH = [Interval(Real, 0, 1, closed="both")]
_SHARE = [Interval(Real, 0, 1, closed="left")]
_DAYS = [Interval(Integral, 1, None, closed="left")]


@validate_params(
    {
        "n_stocks": [Interval(Integral, 2, None, closed="left")],
        "n_days": [Interval(Integral, 3, None, closed="left")],
        "momentum": _STRENGTH,
        "reversal": _STRENGTH,
        "sector": _STRENGTH,
        "periodic": _STRENGTH,
        "lagged": _STRENGTH,
        "momentum_lookback": _DAYS,
        "reversal_lookback": _DAYS,
        "sector_lookback": _DAYS,
        "n_sectors": [Interval(Integral, 2, None, closed="left"), None],
        "periods": [list, tuple],
        "lag": [Interval(Integral, 0, None, closed="left")],
        "late_listings": _SHARE,
        "missing_days": _SHARE,
        "random_state": ["random_state", np.random.Generator],
    },
    prefer_skip_nested_validation=True,
)
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
    """Simulate daily prices that hold a planted signal.

    The return of stock i on day t + 2 is ``signal[i, t] + market[t + 2] + noise[i, t + 2]``,
    where the signal is a function of the closes in the table up to day t, and the rest cannot
    be foreseen. So the label of day t has the signal for its expectation (up to a constant of
    the day), and no model can, on average, score above ``ic_ceiling``.

    The signal is a sum of components. Each is a score of recent returns (relative to the
    market's mean), standardised over the stocks of each day, times its strength. A strength is
    the component's standard deviation as a fraction of the noise's: a component alone has a
    daily information coefficient (IC) of about ``s / sqrt(1 + s**2)``, and independent
    components add like variances.

    Parameters
    ----------
    n_stocks : int, default=50
        Number of stocks, at least 2.
    n_days : int, default=500
        Number of business days. Must reach past the longest look-back of a component that is
        on by at least three days. With the same seed, a longer market begins with the shorter
        one (from 500 days on, or without late listings).
    momentum : float in [0, 1], default=0.05
        Strength of momentum: past winners win, leaving out the last days as in [1]_.
    reversal : float in [0, 1], default=0.05
        Strength of short-term reversal: the last days' winners lose [2]_.
    sector : float in [0, 1], default=0.07
        Strength of the lead-lag within sectors [3]_: a stock follows the mean return of the
        other stocks of its sector. Its own prices say next to nothing about it.
    periodic : float in [0, 1], default=0.0
        Strength of the cycles: a stock repeats the returns of one and of two periods before
        the day to be predicted, summed over ``periods`` (a seasonal autoregression, whose
        cycles have each stock's own phase and amplitude).
    lagged : float in [0, 1], default=0.0
        Strength of the planted lag: the return of day ``t - lag`` alone predicts.
    momentum_lookback, reversal_lookback : int, default=20, 5
        In days: reversal reads the latest ``reversal_lookback`` returns, momentum the latest
        ``momentum_lookback`` but those.
    sector_lookback : int, default=1
        Days of returns that a sector's stocks are led by.
    n_sectors : int, default=None
        Number of sectors, of equal size up to one stock. None: one for ten stocks, at least 2.
    periods : sequence of int, default=(5, 11, 23)
        Lengths of the cycles in days, each at least 2.
    lag : int, default=10
        Where the planted lag is, in days before day t (0 is the latest return).
    start : str or datetime-like, default="2010-01-04"
        The first day, if it is a business day, else the next one.
    late_listings : float in [0, 1), default=0.1
        Share of the stocks that list late: on any of the first 250 days, at the latest halfway.
    missing_days : float in [0, 1), default=0.01
        Share of single rows that are missing from the table.
    random_state : int, RandomState instance, Generator instance or None, default=None
        Seed. None: another market at each call; numpy's global state is not touched.

    Returns
    -------
    market : Bunch
        ohlcv : pandas.DataFrame of shape (n_rows, 5)
            open, high, low, close (float64) and volume in shares (int64); index (datetime,
            instrument), sorted.
        concepts : pandas.Series of shape (n_stocks,)
            The sector of each instrument, named "sector".
        label : pandas.Series of shape (n_rows,)
            What ``skattn.preprocessing.make_label`` gives, same index:
            ``close[t + 2] / close[t + 1] - 1`` as a fraction; NaN on the last two days
            and where the stock misses one of the two.
        signal : pandas.Series of shape (n_rows,)
            The planted expectation of the label, up to a constant of the day; same index.
        ic_ceiling : float
            Mean daily Pearson IC of the signal itself, on this sample; 0.0 without components.
        DESCR : str
            What was simulated.

    Raises
    ------
    ValueError
        A parameter is out of its range, or ``n_days`` or ``n_stocks`` is too small for the
        components that are on.

    Notes
    -----
    Each stock's volatility (1 to 3 % a day) is a log-autoregression around its own level, its
    shocks are Student t with five degrees of freedom; high volume comes with large moves.
    Before a stock has history, what is unknown counts as the market's return. A close after a
    missing row yields the return over the gap. Scores are clipped at four standard deviations,
    and a stock a thousand times above (below) its first price has no positive (negative) signal:
    this keeps prices in range at any strength, and hardly ever matters at small ones.

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
            f"n_stocks must be at least 2 * n_sectors = {2 * n_sectors}, so that every stock has "
            f"another one in its sector; got {n_stocks}. sector=0 switches the component off."
        )
    _check_n_days(n_days, components)
    calendar = pd.bdate_range(_as_day(start), periods=n_days)

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
            f"deviation over the noise's): {strengths}.\nThe best mean daily IC is {ceiling:.4f}."
        ),
    )


def _components(**given: tuple[float, Iterable[int]]) -> list[Component]:
    components = [Component(n, s, tuple(lags)) for n, (s, lags) in given.items() if s != 0]
    for component in components:
        if component.lags:
            continue
        if component.name == "momentum":
            raise ValueError(
                "momentum_lookback must be larger than reversal_lookback, the latest days that "
                "momentum leaves out."
            )
        raise ValueError("periods must hold at least one period; got none.")
    return components


def _cycle_lags(periods: Sequence[int]) -> list[int]:
    for period in periods:
        if not isinstance(period, Integral) or period < 2:
            raise ValueError(
                f"periods must hold ints of at least 2, because a label lies two days ahead; "
                f"got {period!r} in {periods!r}."
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


def _as_day(start: Any) -> pd.Timestamp:
    try:
        day = pd.Timestamp(start)
    except (ValueError, TypeError):
        day = pd.NaT
    if pd.isna(day):
        raise ValueError(f"start must be a date such as '2010-01-04'; got {start!r}.")
    return day.normalize()


def _generator(random_state: Any) -> np.random.Generator:
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(random_state)


def _mean_daily_ic(day: np.ndarray, signal: np.ndarray, label: np.ndarray) -> float:
    """Mean over days of the Pearson correlation; 0 where no day has one."""
    labelled = ~np.isnan(label)
    day, x, y = day[labelled], signal[labelled], label[labelled]
    n = np.maximum(np.bincount(day), 1)
    x = x - (np.bincount(day, x) / n)[day]
    y = y - (np.bincount(day, y) / n)[day]
    xy, xx, yy = (np.bincount(day, product) for product in (x * y, x * x, y * y))
    defined = (xx > 0) & (yy > 0)
    ic = xy[defined] / np.sqrt(xx[defined] * yy[defined])
    return float(ic.mean()) if len(ic) else 0.0
