"""What models are checked on: small panels, small models, and their modules asked directly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone

from skattn.base import SequenceRegressor
from skattn.panel import WindowArray
from skattn.parameters import parameters_of
from skattn.training import Batches, DayBatches

# Steps, fields, stocks: no two sizes are equal, so that axes in another order have other sizes.
N_STEPS, N_FEATURES, N_STOCKS = 7, 3, 9

# How a model is trained for a check, unless its parameters_for_checks say otherwise.
TRAINING = {
    "max_epochs": 2,
    "batch_size": 24,
    "days_per_batch": 3,
    "lr": 0.01,
    "purge": 2,
    "random_state": 0,
}


class Panel(NamedTuple):
    """Windows of some stocks over some days, and their labels."""

    X: Any  # a WindowArray, whose index is known
    y: pd.Series

    @property
    def days(self) -> pd.DatetimeIndex:
        """Day of each row."""
        return self.y.index.get_level_values("datetime")

    @property
    def stocks(self) -> pd.Index:
        """Stock of each row."""
        return self.y.index.get_level_values("instrument")

    def rows(self, rows: np.ndarray) -> Panel:
        """Take some of the rows."""
        return Panel(self.X[rows], self.y[rows])


def make_panel(
    n_days: int = 16, *, n_steps: int = N_STEPS, n_features: int = N_FEATURES, seed: int = 0
) -> Panel:
    """Draw windows of normal numbers and labels that the last three steps of a field tell.

    The first day has all stocks, the second has one, and the others have some of them.
    """
    rng = np.random.default_rng(seed)
    calendar = pd.bdate_range("2024-01-01", periods=n_days)
    stocks = [f"S{number}" for number in range(N_STOCKS)]
    sizes = [N_STOCKS, 1, *rng.integers(N_STOCKS // 2, N_STOCKS, n_days)][:n_days]
    rows = [
        (day, stock)
        for day, size in zip(calendar, sizes, strict=True)
        for stock in sorted(rng.choice(stocks, size, replace=False))
    ]
    index = pd.MultiIndex.from_tuples(rows, names=["datetime", "instrument"])
    values = rng.normal(size=(len(index), n_steps, n_features)).astype(np.float32)
    signal = values[:, -3:, 0].sum(axis=1) / np.sqrt(values[:, -3:, 0].shape[1])
    noise = rng.normal(size=len(index))
    y = pd.Series((signal + 0.5 * noise).astype(np.float32), index=index, name="label")
    ends = np.arange(len(index)) * n_steps + n_steps - 1
    fields = [f"x{number}" for number in range(n_features)]
    table = values.reshape(-1, n_features)
    return Panel(WindowArray(table, ends, n_steps, index=index, fields=fields), y)


def small(estimator: SequenceRegressor, **settings: Any) -> SequenceRegressor:
    """Copy an estimator, make it small and quick to train, and set what a check needs.

    What the estimator's parameters say of its architecture stays where it differs from the default.
    """
    model = clone(estimator)
    known, given = parameters_of(type(model)), model.get_params(deep=False)
    wanted = {**TRAINING, "device": "cpu", **type(model).parameters_for_checks}
    stays = {name for name in known if not _equal(given[name], known[name].default)} - {*TRAINING}
    chosen = {name: value for name, value in wanted.items() if name in given and name not in stays}
    unknown = sorted(set(type(model).parameters_for_checks) - set(given))
    if unknown:
        raise TypeError(
            f"{type(model).__name__}.parameters_for_checks names {unknown}, which are no "
            f"parameters of the class; it has {sorted(given)}."
        )
    allowed = {name: value for name, value in settings.items() if name in given}
    if given["batch"] == "rows":
        chosen.pop("days_per_batch", None)
    return model.set_params(**{**chosen, **allowed})


def _equal(value: Any, default: Any) -> bool:
    plain = (int, float, str, tuple)
    return value is default or (isinstance(value, plain) and value == default)


def fitted(
    estimator: SequenceRegressor, panel: Panel | None = None, **settings: Any
) -> tuple[SequenceRegressor, Panel]:
    """Fit a small copy of an estimator; gives it with the panel that it was fitted on."""
    panel = panel or make_panel()
    return small(estimator, **settings).fit(*panel), panel


class Probe:
    """The module of a fitted model, asked directly, because ``predict`` hides what it sees.

    Parameters
    ----------
    estimator : SequenceRegressor
        A small copy of it is fitted.
    n_days : int, default=5
        Number of days whose rows ``inputs`` have.
    """

    def __init__(self, estimator: SequenceRegressor, n_days: int = 5) -> None:
        self.model, panel = fitted(estimator)
        net = self.model.net_
        self.contract = net.contract
        self.module: Any = net.module_
        self.name = type(self.module).__name__
        self.panel = panel.rows(panel.days < panel.days.unique()[n_days])
        samples = self.model.check_rows(self.panel.X)
        if self.contract.cross_sectional:
            batches = DayBatches(samples, n_days, net.side_inputs)
            batch, _ = batches.batch_of(batches.days)
        else:
            batch, _ = Batches(samples, len(samples), net.side_inputs).batch_of(slice(None))
        self.inputs: dict[str, torch.Tensor] = batch if isinstance(batch, dict) else {"x": batch}

    @property
    def x(self) -> torch.Tensor:
        """Windows (B, T, F) or (D, S, T, F)."""
        return self.inputs["x"]

    @property
    def present(self) -> torch.Tensor:
        """Mask (B,) or (D, S) of the rows that are no padding."""
        rows = self.x.shape[:-2]
        return self.inputs.get("present", torch.ones(rows, dtype=torch.bool))

    def garbage(self) -> torch.Tensor:
        """Other windows with large numbers, in which whatever leaks is plainly seen."""
        return 1000 * torch.randn(self.x.shape, generator=torch.Generator().manual_seed(1))

    def forward(self, **changes: torch.Tensor) -> torch.Tensor:
        """Predict, with some inputs changed."""
        return self._ask(self.module, changes)

    def attend(self, **changes: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Give the attention maps, with some inputs changed."""
        return self._ask(self.module.attend, changes)

    def _ask(self, function: Any, changes: Mapping[str, torch.Tensor]) -> Any:
        inputs = {**self.inputs, **changes}
        x = inputs.pop("x").clone()
        self.module.eval()
        with torch.no_grad():
            return function(x, **inputs)


def change(before: torch.Tensor, after: torch.Tensor) -> str:
    """Say by how much a result has changed; nothing where only its rounding has."""
    before, after = before.double(), after.double()
    if before.shape != after.shape:
        return f"the shape {tuple(before.shape)} becomes {tuple(after.shape)}"
    if before.numel() == 0:
        return ""
    largest = float(before.abs().max())
    difference = float((before - after).abs().max())
    # NaN is no small difference.
    if difference <= 1e-4 * largest:
        return ""
    return f"by up to {difference:.2g}, where the largest is {largest:.2g}"
