"""Days of a cross-sectional module: apart from each other, from their padding, in any order."""

from __future__ import annotations

import numpy as np
import torch

from skattn.base import SequenceRegressor
from skattn.testing._data import Probe, change, fitted, make_panel

OVER_STOCKS = (
    "Sums, means, softmax and products over stocks run over axis 1 of (D, S, ...), which is dim=1, "
    "never over axis 0 nor over the D * S rows of x.flatten(0, 1)."
)


def check_days_do_not_see_each_other(estimator: SequenceRegressor) -> None:
    """Replace the other days of a batch: a day's predictions stay."""
    probe = Probe(estimator)
    before = probe.forward()
    for day in (0, len(probe.x) - 1):
        x = probe.garbage()
        x[day] = probe.x[day]
        own = probe.present[day]
        found = change(before[day, own], probe.forward(x=x)[day, own])
        if found:
            raise AssertionError(
                f"{probe.name}.forward lets the days of a batch see each other: where the windows "
                f"of the other days change, the predictions of a day change {found}. {OVER_STOCKS}"
            )


def check_padding_is_not_seen(estimator: SequenceRegressor) -> None:
    """Change what padded rows hold, and leave them out: a day's predictions stay."""
    probe = Probe(estimator)
    before, present = probe.forward(), probe.present
    x = torch.where(present[:, :, None, None], probe.x, probe.garbage())
    found = change(before[present], probe.forward(x=x)[present])
    if found:
        raise AssertionError(
            f"{probe.name}.forward sees the rows that only fill a day up: where such rows change, "
            f"predictions of the day's own stocks change {found}. Leave them out by present, "
            f"before stocks are mixed: values.masked_fill(~present[..., None], 0) before sums and "
            f"products, scores.masked_fill(~present[:, None], torch.finfo(scores.dtype).min) "
            f"before softmax."
        )
    for day in range(len(before)):
        own = present[day]
        alone = {name: values[day : day + 1, own] for name, values in probe.inputs.items()}
        found = change(before[day, own], probe.forward(**alone)[0])
        if found:
            raise AssertionError(
                f"{probe.name}.forward depends on how many rows fill a day up: without them, the "
                f"predictions of the day change {found}. A mean over stocks divides by "
                f"present.sum(dim=1), not by x.shape[1], and a softmax or maximum over stocks "
                f"leaves out ~present."
            )


def check_order_of_stocks_does_not_matter(estimator: SequenceRegressor) -> None:
    """Take the stocks of each day in another order: the predictions come in that order."""
    probe = Probe(estimator)
    order = torch.arange(probe.x.shape[1]).roll(2).flip(0)
    turned = {name: values[:, order] for name, values in probe.inputs.items()}
    present = turned["present"]
    found = change(probe.forward()[:, order][present], probe.forward(**turned)[present])
    if found:
        raise AssertionError(
            f"{probe.name}.forward depends on the order of a day's stocks: in another order, "
            f"predictions change {found}. The place of a stock in (D, S) says nothing: every stock "
            f"has the same weights and no position, and row s of the result belongs to row s of x."
        )


def check_days_of_one_stock(estimator: SequenceRegressor) -> None:
    """Fit and predict where each day has one stock."""
    whole = make_panel(40)
    panel = whole.rows(~whole.days.duplicated())
    model, _ = fitted(estimator, panel, early_stopping=False, days_per_batch=1)
    predicted = model.predict(panel.X)
    if not np.isfinite(predicted).all():
        raise AssertionError(
            f"{type(model.module_).__name__}.forward gives {predicted[~np.isfinite(predicted)][0]} "
            f"for a day of one stock. A deviation or a share over the other stocks is 0 / 0 there: "
            f"add a small number to what forward divides by, or use clamp(min=1) for counts."
        )


CROSS_SECTIONAL = (
    check_days_do_not_see_each_other,
    check_padding_is_not_seen,
    check_order_of_stocks_does_not_matter,
    check_days_of_one_stock,
)
