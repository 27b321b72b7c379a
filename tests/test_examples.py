"""The examples run, as a user would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skattn.datasets import make_market

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
QUICKSTART = EXAMPLES / "quickstart.py"
SMALL = ["--splits", "2", "--epochs", "1", "--hidden", "4", "--jobs", "1"]

pytestmark = pytest.mark.slow


def run(tmp_path, script: Path, *arguments: str) -> str:
    picture = tmp_path / "picture.png"
    done = subprocess.run(
        [sys.executable, str(script), "--picture", str(picture), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    return done.stdout


def quickstart(tmp_path, *arguments: str) -> str:
    return run(tmp_path, QUICKSTART, *SMALL, *arguments)


def test_pictures_of_real_prices(tmp_path):
    pytest.importorskip("skfolio")
    small = ["--start", "2021-01-01", "--split", "2022-06-01", "--epochs", "1", "--length", "6"]
    shown = run(tmp_path, EXAMPLES / "look_inside.py", *small)
    for text in ("spans of ALSTM's highest attention", "volatility", "p_value"):
        assert text in shown


def test_default_prices(tmp_path):
    pytest.importorskip("skfolio")
    shown = quickstart(tmp_path, "--start", "2021-06-01", "--stocks", "5")
    assert "5 stocks, 2021-06-01 to 2022-12-28, columns close" in shown
    assert "━" not in shown  # no progress bars where the output is no terminal
    # On the simulated market, scores next to the ceiling and the attention near the planted lag.
    reached = {name: float(score) for name, score in re.findall(r"rank IC of (\w+) +(\S+)", shown)}
    assert reached["ceiling"] > reached["ALSTM"] > 0.8 * reached["ceiling"]
    assert reached["ceiling"] > reached["ridge"] > 0.8 * reached["ceiling"]
    assert 4 <= int(re.search(r"attends most to lag (\d+)", shown)[1]) <= 7
    table = shown[shown.index("Best of the search") :]
    for name in ("ic", "icir", "rank_ic", "rank_icir", "days", "stocks", "ALSTM", "ridge"):
        assert name in table


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_of_ones_own(tmp_path, suffix):
    market = make_market(n_stocks=6, n_days=200, sector=0, random_state=0).ohlcv
    long = market.reset_index().rename(columns={"datetime": "Day", "instrument": "Name"})
    long = long.rename(columns=str.title).rename(columns={"Close": "Last"})
    path = tmp_path / f"prices.{suffix}"
    if suffix == "csv":
        long.to_csv(path, index=False)
    else:
        long.to_parquet(path)
    names = ["--instrument", "Name", "--close", "Last"]
    shown = quickstart(tmp_path, "--ohlcv", str(path), "--stocks", "4", *names)
    assert "4 stocks" in shown
    assert "columns open, high, low, close, volume" in shown


def test_a_file_with_some_of_the_columns(tmp_path):
    market = make_market(n_stocks=4, n_days=200, sector=0, random_state=0).ohlcv
    market[["close", "volume"]].reset_index().to_csv(tmp_path / "prices.csv", index=False)
    shown = quickstart(tmp_path, "--ohlcv", str(tmp_path / "prices.csv"))
    assert "columns close, volume" in shown


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_with_time_zones(tmp_path, suffix):
    market = make_market(n_stocks=4, n_days=220, sector=0, random_state=0).ohlcv
    long = market.reset_index()
    long["datetime"] = long["datetime"].dt.tz_localize("America/New_York")
    path = tmp_path / f"prices.{suffix}"
    if suffix == "csv":
        long.to_csv(path, index=False)
    else:
        long.to_parquet(path)
    shown = quickstart(
        tmp_path, "--ohlcv", str(path), "--start", "2010-02-01", "--end", "2010-10-29"
    )
    assert "4 stocks, 2010-02-01 to 2010-10-29" in shown
