"""The files that plugins/README.md prints, run exactly as they are printed."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import skattn
from skattn.inspection import attention_weights
from skattn.plugins._collect import collected
from skattn.preprocessing import Alpha360, RobustZScore
from skattn.testing import check_model

README = Path(__file__).parents[1] / "plugins" / "README.md"
PRINTED = re.findall(r"```(?:python|toml)\n(.*?)```", README.read_text(), flags=re.DOTALL)


def printed(mention: str) -> str:
    """The one block that holds a line."""
    (block,) = (block for block in PRINTED if mention in block)
    return block


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The printed plugin as pip would install it."""
    package = tmp_path / "skattn_mean"
    package.mkdir()
    (package / "__init__.py").write_text(printed("@skattn.hookimpl"))
    (package / "model.py").write_text(printed("class MeanRegressor"))
    (tmp_path / "skattn_peers.py").write_text(printed("class PeersRegressor"))
    (tmp_path / "skattn_by_sector.py").write_text(printed("class BySectorRegressor"))
    (tmp_path / "skattn_linear.py").write_text(printed("class LinearRegressor"))
    entry = re.search(r"\[project\.entry-points\.skattn\]\n(.*)\n", printed("[project]"))[1]
    info = tmp_path / "skattn_mean-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: skattn-mean\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[skattn]\n{entry.replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    collected.cache_clear()
    yield
    for name in [name for name in sys.modules if name.startswith("skattn_")]:
        sys.modules.pop(name)
    collected.cache_clear()


def test_the_printed_model_is_short_and_public():
    for name in ("Mean", "Peers", "BySector", "Linear"):
        block = printed(f"class {name}Regressor")
        assert len(block.splitlines()) <= 40
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("skattn"):
                assert not any(part.startswith("_") for part in node.module.split("."))
                home = importlib.import_module(node.module)
                assert {alias.name for alias in node.names} <= set(home.__all__)


def test_a_recurrent_model(installed, market):
    assert "mean" in [spec.name for spec in skattn.list_models()]
    model = skattn.make_model("mean", lr=0.05, random_state=0)
    assert model.max_epochs == 50
    assert clone(model).get_params() == model.get_params()
    pipeline = make_pipeline(Alpha360(length=10), RobustZScore(), model)
    pipeline.fit(market.ohlcv, market.label)
    assert pipeline.predict(market.ohlcv).shape == market.label.shape
    weights = attention_weights(pipeline, market.ohlcv).time
    assert list(weights.columns) == list(range(9, -1, -1))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match=r"MeanRegressor.*\bbias\b.*\b1\b"):
        skattn.make_model("mean", bias=1).fit(np.ones((4, 3, 2)), np.ones(4))
    assert "bias : bool, default=True\n    Whether there is an intercept." in type(model).__doc__


def test_a_cross_sectional_model(installed, market):
    peers = importlib.import_module("skattn_peers").PeersRegressor
    model = peers(max_epochs=2, days_per_batch=4, random_state=0)
    pipeline = make_pipeline(Alpha360(length=10), RobustZScore(), model)
    pipeline.fit(market.ohlcv, market.label)
    assert "valid_ic" in model.history_
    weights = attention_weights(pipeline, market.ohlcv).peers
    assert list(weights.columns) == sorted(market.ohlcv.index.unique("instrument"))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    # Other days change no bit of a day.
    days = market.ohlcv.index.get_level_values("datetime")
    last = days == days.max()
    np.testing.assert_array_equal(
        pipeline.predict(market.ohlcv[last]), pipeline.predict(market.ohlcv)[last]
    )


def test_a_model_with_side_inputs(installed, market):
    by_sector = importlib.import_module("skattn_by_sector").BySectorRegressor
    model = by_sector(sectors=market.concepts, max_epochs=2, random_state=0)
    pipeline = make_pipeline(Alpha360(length=10), RobustZScore(), model)
    pipeline.fit(market.ohlcv, market.label)
    weights = attention_weights(pipeline, market.ohlcv).sector
    assert list(weights.columns) == sorted(market.concepts.unique())
    assert (weights.ne(0).sum(axis=1) == 1).all()


def test_a_model_of_several_outputs(installed, market):
    model = importlib.import_module("skattn_linear").LinearRegressor(max_epochs=2)
    labels = skattn.make_label(market.ohlcv, horizon=(1, 5, 20))
    pipeline = make_pipeline(Alpha360(length=10), RobustZScore(), model).fit(market.ohlcv, labels)
    assert pipeline.predict(market.ohlcv).shape == labels.shape
    assert list(model.output_names_) == ["1d", "5d", "20d"]
    pipeline.fit(market.ohlcv, labels["5d"])
    assert pipeline.predict(market.ohlcv).shape == (len(labels),)


@pytest.mark.slow
@pytest.mark.parametrize(
    "target",
    [
        "skattn_mean.model:MeanRegressor",
        "skattn_peers:PeersRegressor",
        "skattn_by_sector:BySectorRegressor",
        "skattn_linear:LinearRegressor",
    ],
)
def test_the_printed_models_pass_the_checks(installed, target):
    results = check_model(resolve_name(target)(), on_fail=None)
    assert [each for each in results if each["status"] == "failed"] == []
    assert len(results) > 60
