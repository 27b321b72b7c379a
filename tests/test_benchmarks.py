"""The benchmarks of signals: what they may read, how they score, that they repeat themselves."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skattn.datasets import make_market

pytest.importorskip("lightgbm")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def scripts() -> Any:
    """Import the scripts as they import each other, from their folder."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import _signals
        import quality
        import tune

        yield SimpleNamespace(signals=_signals, quality=quality, tune=tune)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated prices of 2019 to 2022 in a long file."""
    market = make_market(6, 830, start="2019-04-24", late_listings=0, random_state=0)
    path = tmp_path_factory.mktemp("prices") / "prices.parquet"
    market.ohlcv.reset_index().to_parquet(path)
    return path


def test_trials_cannot_read_the_years_of_the_comparison(scripts: Any, prices: Path) -> None:
    assert pd.read_parquet(prices)["datetime"].max() > pd.Timestamp("2022-05-01")
    ohlcv, label = scripts.tune.market(str(prices), 6)
    assert ohlcv.index.get_level_values("datetime").max() <= pd.Timestamp("2021-12-31")
    # The labels of the last two days would need prices that were cut off.
    days = label.index.unique("datetime").sort_values()
    assert label.loc[days[-2:]].isna().all()
    assert label.loc[days[-3]].notna().any()
    for job_features in ("twenty:20", "alpha360:20", "price:5"):
        table = scripts.tune.table_of(str(prices), 6, job_features)
        assert table.index.get_level_values("datetime").max() <= days[-1]


def test_no_label_of_a_part_looks_into_the_next(scripts: Any, prices: Path) -> None:
    _, label = scripts.tune.market(str(prices), 6)
    parts = [*scripts.tune.make_folds(label), scripts.quality.market(str(prices), 6)[2]]
    calendar = pd.DatetimeIndex(pd.read_parquet(prices)["datetime"].unique()).sort_values()
    for train, valid, test in parts:
        for before, after in ((train, valid), (valid, test)):
            between = calendar.get_loc(after[0]) - calendar.get_loc(before[-1])
            assert between > 2


def test_turnover_and_costs(scripts: Any) -> None:
    days = pd.bdate_range("2022-01-03", periods=4)
    index = pd.MultiIndex.from_product([days, list("ABCDEFGHIJ")], names=["datetime", "instrument"])
    rising = pd.Series(np.tile(np.arange(10.0), 4), index)
    falls = np.repeat([1.0, -1.0, 1.0, -1.0], 10)
    label = 0.01 * rising
    still = scripts.signals.score(label, rising)
    assert still.turnover.tolist() == pytest.approx([2, 0, 0, 0])
    assert still.long_short.tolist() == pytest.approx([0.08] * 4)
    turned = scripts.signals.score(label, falls * rising)
    assert turned.turnover.tolist() == pytest.approx([2, 4, 4, 4])
    found = scripts.signals.summary(still)
    assert found["net"] == pytest.approx(252 * (0.08 - 0.001 * 0.5))
    assert found["turnover"] == pytest.approx(0.5)


def test_the_same_seed_gives_the_same_table(scripts: Any, prices: Path, tmp_path: Path) -> None:
    quality = scripts.quality
    pairs = [("lightgbm", "alpha158"), ("gru", "factors"), ("gru", "prices")]
    jobs = [quality.Job(model, inputs, 0, str(prices), 6) for model, inputs in pairs]
    printed = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        for job in jobs:
            np.savez(job.file(folder), predicted=quality.run(job)["predicted"], seconds=1.0)
        printed.append(quality.tables(quality.Signals(jobs, folder)))
    assert printed[0] == printed[1]
    for signal in ("lightgbm alpha158", "gru recipe", "gru factors", "gru prices"):
        assert f"| {signal} |" in printed[0]
