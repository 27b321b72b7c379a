"""What the examples say to a user's mistake: a line, not a traceback, before anything is fitted."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from skattn.datasets import make_market

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    table = make_market(n_stocks=3, n_days=70, sector=0, random_state=0).ohlcv.reset_index()
    table.to_csv(folder / "good.csv", index=False)
    table.head(10).to_csv(folder / "ten.csv", index=False)
    table.drop(columns="close").to_csv(folder / "no_close.csv", index=False)
    table.rename(columns={"datetime": "when"}).to_csv(folder / "no_date.csv", index=False)
    table.rename(columns={"instrument": "who"}).to_csv(folder / "no_stock.csv", index=False)
    table.assign(Close=table["close"]).to_csv(folder / "twice.csv", index=False)
    table[table["instrument"] == table["instrument"][0]].to_csv(folder / "one.csv", index=False)
    (folder / "empty.csv").write_text("")
    (folder / "broken.parquet").write_bytes(b"no parquet")
    return folder


def said(monkeypatch, capsys, script: str, *arguments: str) -> str:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    assert stopped.value.code in (1, 2)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("no_close.csv", ["'close' is missing", "open, high, low, volume", "--close COLUMN"]),
        ("no_close.csv --close Last", ["--close Last", "open, high, low, volume"]),
        ("no_date.csv", ["No column for datetime", "'when'", "'volume'", "--datetime COLUMN"]),
        ("no_stock.csv", ["No column for instrument", "'who'", "--instrument COLUMN"]),
        ("good.csv --datetime day", ["'day'", "'instrument'", "--datetime COLUMN"]),
        ("twice.csv", ["close, Close", "--close COLUMN"]),
        ("ten.csv", ["days with --splits 3", "at least 60 are needed"]),
        ("good.csv --splits 1000", ["70 days with --splits 1000", "fewer --splits"]),
        ("one.csv", ["at least 2", "got 1"]),
        ("good.csv --start 2030-01-01", ["No row lies between --start and --end", "2010-01-04"]),
        ("good.csv --start 2010-03-01 --end 2010-02-01", ["No row lies between"]),
        ("absent.csv", ["absent.csv", "does not exist"]),
        ("empty.csv", ["cannot be read"]),
        ("broken.parquet", ["cannot be read"]),
        ("good.csv --splits 0", ["--splits: '0'", "at least 1"]),
        ("good.csv --stocks 0", ["--stocks: '0'", "at least 2"]),
        ("good.csv --hidden -1", ["--hidden: '-1'", "at least 2"]),
        ("good.csv --jobs 0", ["--jobs: '0'", "at least 1"]),
        ("good.csv --epochs x", ["--epochs: 'x'", "whole number"]),
    ],
)
def test_quickstart(monkeypatch, capsys, files, arguments, expected):
    name, *others = arguments.split()
    error = said(monkeypatch, capsys, "quickstart.py", "--ohlcv", str(files / name), *others)
    assert "Traceback" not in error
    for text in expected:
        assert text in error


def test_a_folder_of_the_picture_that_is_not_there(monkeypatch, capsys, files):
    monkeypatch.chdir(files)
    long = make_market(n_stocks=3, n_days=130, sector=0, random_state=0).ohlcv
    long.reset_index().to_csv("long.csv", index=False)
    arguments = ["--ohlcv", "long.csv", "--splits", "1", "--picture", "absent/x.png"]
    error = said(monkeypatch, capsys, "quickstart.py", *arguments)
    assert "its folder does not exist" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--split 2040-01-01", "--split 2040-01-01 must lie after 201"),
        ("--start 2022-01-01 --split 2021-01-01", "--split 2021-01-01 must lie after 2022-01-03"),
        ("--start yesterday", "--start"),
        ("--epochs 0", "--epochs: '0' is not a whole number of at least 1"),
        ("--length 1", "--length: '1' is not a whole number of at least 2"),
        ("--start 2040-01-01", "No trading day lies between"),
    ],
)
def test_look_inside(monkeypatch, capsys, arguments, expected):
    pytest.importorskip("skfolio")
    assert expected in said(monkeypatch, capsys, "look_inside.py", *arguments.split())


def test_a_stock_that_is_not_there(monkeypatch, capsys):
    pytest.importorskip("skfolio")
    error = said(monkeypatch, capsys, "look_inside.py", "--stock", "XXX")
    assert "--stock XXX is none of AAPL, " in error


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("beyond_one_machine.py", "--stocks 1", "n_stocks must be an int of at least 2"),
        ("beyond_one_machine.py", "--days 3", "n_days must be at least 23"),
        ("several_devices.py", "", "Start this script by: torchrun"),
    ],
)
def test_scripts_of_several_processes(monkeypatch, capsys, script, arguments, expected):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert expected in said(monkeypatch, capsys, script, *arguments.split())


@pytest.mark.parametrize(("engine", "package"), [("dask", "dask.distributed"), ("ray", "ray")])
def test_an_engine_that_is_absent_names_its_extra(monkeypatch, capsys, engine, package):
    monkeypatch.setitem(sys.modules, package, None)
    error = said(monkeypatch, capsys, "beyond_one_machine.py", "--engine", engine)
    assert f'pip install "skattn[{engine}]"' in error
    assert "Traceback" not in error


@pytest.mark.parametrize("script", ["look_inside.py", "quickstart.py"])
def test_the_traceback_of_an_absent_package_names_the_extra(script):
    (line,) = [
        each
        for each in (EXAMPLES / script).read_text(encoding="utf-8").splitlines()
        if each.startswith("import matplotlib")
    ]
    assert line.endswith('# pip install "skattn[examples]"')
