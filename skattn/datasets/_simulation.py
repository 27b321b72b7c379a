"""Simulation behind make_market: noise, planted signal and daily trading."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

# Stylised facts of daily stock returns: volatility that differs by stock, fat tails, clusters.
VOLATILITY = (0.01, 0.03)
MARKET_DRIFT, MARKET_VOLATILITY = 0.0003, 0.01
DEGREES_OF_FREEDOM = 5
LOG_VOLATILITY_STD, LOG_VOLATILITY_AR = 0.3, 0.97
# Largest shocks and scores. Five components of strength 1 add at most 5 * 4 * 0.03 = 0.6, so every
# return stays above -1 and every price above 0.
STOCK_LIMIT, MARKET_LIMIT, SCORE_LIMIT = 0.3, 0.08, 4.0
# A stock this many times above (below) its first price gets no positive (negative) signal.
PRICE_RANGE = 1000.0
# Late stocks list in the first year. This number does not depend on n_days, so a longer market
# begins like a shorter market.
LISTING_DAYS = 250


@dataclass(frozen=True)
class Component:
    """Part of the signal: strength times the standardised sum of the returns at ``lags``."""

    name: str
    strength: float
    lags: tuple[int, ...]


def simulate(
    rng: np.random.Generator,
    components: list[Component],
    sector_of: np.ndarray,
    n_days: int,
    *,
    late_listings: float,
    missing_days: float,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Simulate day by day: grids of shape (n_days, n_stocks), and a mask of the table's rows.

    Random numbers are drawn day by day, and do not depend on the strengths and shares.
    """
    n_stocks = len(sector_of)
    std = rng.uniform(*VOLATILITY, n_stocks)
    price = rng.lognormal(np.log(20), 0.7, n_stocks)
    usual_volume = rng.lognormal(np.log(1e6), 1.0, n_stocks)
    activity = np.zeros(n_stocks)
    log_vol = LOG_VOLATILITY_STD * rng.standard_normal(n_stocks)
    market_log_vol = LOG_VOLATILITY_STD * rng.standard_normal(1)
    is_late = rng.permutation(n_stocks) < int(late_listings * n_stocks)
    listing = np.where(is_late, rng.integers(1, LISTING_DAYS, n_stocks, endpoint=True), 0)
    listing = np.minimum(listing, n_days // 2)

    planted = PlantedSignal(components, sector_of, scale=float(np.sqrt(np.mean(std**2))))
    names = ("open", "high", "low", "close", "signal")
    grids = {name: np.empty((n_days, n_stocks)) for name in names}
    grids["volume"] = np.empty((n_days, n_stocks), dtype=np.int64)
    present = np.empty((n_days, n_stocks), dtype=bool)
    for day in range(n_days):
        market = MARKET_DRIFT + _shocks(rng, market_log_vol, MARKET_VOLATILITY, MARKET_LIMIT)
        noise = _shocks(rng, log_vol, std, STOCK_LIMIT)
        expected = grids["signal"][day - 2] if day >= 2 else 0.0
        change = expected + market + noise
        previous, price = price, price * (1 + change)
        # A stock opens at a random fraction of the day's change.
        opening = previous * (1 + change * rng.random(n_stocks))
        low, high = np.minimum(opening, price), np.maximum(opening, price)
        grids["open"][day], grids["close"][day] = opening, price
        grids["high"][day] = high * np.exp(std / 2 * np.abs(rng.standard_normal(n_stocks)))
        grids["low"][day] = low * np.exp(-std / 2 * np.abs(rng.standard_normal(n_stocks)))
        activity = 0.9 * activity + 0.2 * rng.standard_normal(n_stocks)
        volume = usual_volume * np.exp(activity) * (1 + np.abs(change) / std)
        grids["volume"][day] = np.rint(volume) + 1
        present[day] = (day >= listing) & (rng.random(n_stocks) >= missing_days)
        if not present[day].any():
            # A day without any row would be missing from the table's calendar.
            present[day] = day >= listing
        grids["signal"][day] = planted.update(price, present[day])
    return grids, present


def _shocks(
    rng: np.random.Generator, log_vol: np.ndarray, std: np.ndarray | float, limit: float
) -> np.ndarray:
    """Draw one day's fat-tailed shocks of mean 0, and advance the log-volatility in place."""
    log_vol *= LOG_VOLATILITY_AR
    innovation = np.sqrt(1 - LOG_VOLATILITY_AR**2) * LOG_VOLATILITY_STD
    log_vol += innovation * rng.standard_normal(len(log_vol))
    unit = np.sqrt((DEGREES_OF_FREEDOM - 2) / DEGREES_OF_FREEDOM)
    t = unit * rng.standard_t(DEGREES_OF_FREEDOM, len(log_vol))
    # E[exp(2 v)] is exp(2 std**2) for normal v, so the long-run variance of the shocks is std**2.
    return np.clip(std * np.exp(log_vol - LOG_VOLATILITY_STD**2) * t, -limit, limit)


class PlantedSignal:
    """Signal of each day, computed only from closes that an observer of the table has seen."""

    def __init__(self, components: list[Component], sector_of: np.ndarray, scale: float) -> None:
        self.components = components
        self.sector_of = sector_of
        self.scale = scale
        n_past = max((max(c.lags) + 1 for c in components), default=1)
        self.past = deque([np.zeros(len(sector_of))] * n_past, maxlen=n_past)
        self.first_close = np.full(len(sector_of), np.nan)
        self.last_close = np.full(len(sector_of), np.nan)

    def update(self, close: np.ndarray, present: np.ndarray) -> np.ndarray:
        """Add the closes of one day, and give the signal. Closes of absent rows have no effect."""
        known = ~np.isnan(self.last_close)
        seen = present & known
        change = np.zeros(len(close))
        change[seen] = close[seen] / self.last_close[seen] - 1
        change[seen] -= change[seen].sum() / max(seen.sum(), 1)
        self.past.append(change)
        self.first_close = np.where(known, self.first_close, close)
        self.last_close = np.where(present, close, self.last_close)

        signal = np.zeros(len(close))
        for component in self.components:
            score = np.sum([self.past[-1 - lag] for lag in component.lags], axis=0)
            if component.name == "sector":
                score = _mean_of_others(score, self.sector_of, known)
            signal += component.strength * self.scale * _standardize(score, present)
        ratio = self.last_close / self.first_close
        signal[np.isnan(ratio)] = 0  # not listed yet
        signal[(ratio > PRICE_RANGE) & (signal > 0)] = 0
        signal[(ratio < 1 / PRICE_RANGE) & (signal < 0)] = 0
        return signal


def _mean_of_others(values: np.ndarray, group: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean over the other known members of the group; unknown members must have the value 0."""
    total = np.bincount(group, values)[group] - values
    count = np.bincount(group, known)[group] - known
    return total / np.maximum(count, 1)


def _standardize(score: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Scale to mean 0 and standard deviation 1 over ``rows``, then clip."""
    std = score[rows].std()
    if std == 0:
        return np.zeros(len(score))
    return np.clip((score - score[rows].mean()) / std, -SCORE_LIMIT, SCORE_LIMIT)
