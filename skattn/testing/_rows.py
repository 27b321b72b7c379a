"""Rows: what a prediction depends on, and what it does not depend on."""

from __future__ import annotations

import numpy as np
import torch

from skattn.base import SequenceRegressor
from skattn.testing._data import Probe, change, fitted, make_panel


def check_fit_and_predict(estimator: SequenceRegressor) -> None:
    """Fit and predict: one finite number a row."""
    model, panel = fitted(estimator)
    predicted = model.predict(panel.X)
    forward = f"{type(model.module_).__name__}.forward"
    if predicted.shape != (len(panel.y),) or predicted.dtype != np.float32:
        raise AssertionError(
            f"predict must give float32 of shape ({len(panel.y)},), one number a row; it gives "
            f"{predicted.dtype} of shape {predicted.shape}. Leave predict to SequenceRegressor: "
            f"what is special to the model belongs into {forward}."
        )
    if not np.isfinite(predicted).all():
        n_bad = int((~np.isfinite(predicted)).sum())
        raise AssertionError(
            f"{forward} gives NaN or infinity for {n_bad} of {len(predicted)} windows of normal "
            f"numbers: guard divisions, logarithms and roots in forward."
        )


def check_batches_of_one_row(estimator: SequenceRegressor) -> None:
    """Train where a batch has one row, as the last one of an epoch may."""
    panel = make_panel()
    rows = panel.rows(np.arange(len(panel.y)) < 17)
    try:
        model, _ = fitted(estimator, rows, batch_size=16, early_stopping=False)
    except Exception as error:
        raise AssertionError(
            f"{type(estimator).__name__} cannot train on a batch of one row, and the last batch of "
            f"an epoch may be one: {type(error).__name__}: {error}. Normalise by nn.LayerNorm in "
            f"place of nn.BatchNorm1d, and let forward compute no deviation over rows."
        ) from error
    if not np.isfinite(model.predict(rows.X)).all():
        raise AssertionError(
            f"after a batch of one row, predictions of {type(estimator).__name__} are NaN: let "
            f"{type(model.module_).__name__}.forward compute no deviation over rows."
        )


def check_forward_is_the_same_twice(estimator: SequenceRegressor) -> None:
    """Predict the same rows twice."""
    probe = Probe(estimator)
    if not torch.equal(probe.forward(), probe.forward()):
        raise AssertionError(
            f"{probe.name}.forward gives other predictions when it is called again: in evaluation "
            f"it must draw no random numbers and keep nothing from call to call. Dropout is "
            f"nn.Dropout, or F.dropout(x, p, training=self.training)."
        )


def check_rows_do_not_see_each_other(estimator: SequenceRegressor) -> None:
    """Replace the other rows of a batch: a row's prediction stays."""
    probe = Probe(estimator)
    before = probe.forward()
    for row in (0, 1, len(probe.x) - 1):
        x = probe.garbage()
        x[row] = probe.x[row]
        found = change(before[row], probe.forward(x=x)[row])
        if found:
            raise AssertionError(
                f"{probe.name}.forward lets the rows of a batch see each other: where the other "
                f"windows change, the prediction of a row changes {found}. Means, softmax and "
                f"products run over axes 1 and 2 of (B, T, F), never over axis 0 (mind "
                f"batch_first=True of torch's layers), and result b belongs to window b. A model "
                f"that looks across stocks declares cross_sectional = True and derives from "
                f"skattn.base.CrossSectionalRegressor."
            )


def check_order_of_rows_does_not_matter(estimator: SequenceRegressor) -> None:
    """Take the rows, or days, of a batch in another order: predictions come in that order."""
    probe = Probe(estimator)
    order = torch.arange(len(probe.x)).roll(2).flip(0)
    turned = {name: values[order] for name, values in probe.inputs.items()}
    present = probe.present[order]
    found = change(probe.forward()[order][present], probe.forward(**turned)[present])
    if found:
        raise AssertionError(
            f"{probe.name}.forward mixes up the rows of a batch: in another order, predictions "
            f"change {found}. Result b belongs to window b: reshape and transpose so that axis 0 "
            f"stays axis 0 (view and reshape do not transpose), and sort or flip nothing along it."
        )


def check_number_of_rows_does_not_matter(estimator: SequenceRegressor) -> None:
    """Predict one row, or one day, alone."""
    probe = Probe(estimator)
    whole, axis = probe.forward(), 1 if probe.contract.cross_sectional else 0
    first = {name: values[:1] for name, values in probe.inputs.items()}
    if axis:
        own = probe.present[0]
        first = {name: values[:, own] for name, values in first.items()}
        expected = whole[:1, own]
    else:
        expected = whole[:1]
    alone = probe.forward(**first)
    found = change(expected, alone)
    if found:
        kind = "day" if axis else "row"
        raise AssertionError(
            f"{probe.name}.forward treats a {kind} alone in another way than a {kind} of a batch: "
            f"{found}. Let forward take the last axis by [..., 0], not by squeeze(), which takes "
            f"away every axis of size 1, and normalise over no axis of rows."
        )


def check_predictions_do_not_depend_on_other_rows(estimator: SequenceRegressor) -> None:
    """Predict parts of a panel: the same bits as in the whole, later days or none."""
    model, _ = fitted(estimator)
    panel = make_panel(90, seed=1)
    X, days = panel.X, panel.days
    whole = model.predict(X)
    rng = np.random.default_rng(0)
    some_days = days.isin(rng.choice(days.unique(), 20, replace=False))
    parts = {
        "the earlier half of the days": np.flatnonzero(days < days.unique()[45]),
        "some of the days": np.flatnonzero(some_days),
        "the rows in another order": rng.permutation(len(X)),
    }
    if not model.net_.contract.cross_sectional:
        parts["one row"] = np.array([len(X) - 1])
        parts["some of the rows"] = rng.choice(len(X), 40, replace=False)
    for part, rows in parts.items():
        differs = model.predict(X[rows]) != whole[rows]
        if differs.any():
            raise AssertionError(
                f"predict gives other bits for {part} than for all rows together "
                f"({int(differs.sum())} of {len(rows)} rows differ). predict computes rows in "
                f"blocks of one size, so that nothing of {type(model.module_).__name__}.forward "
                f"may depend on the place of a row in its block or on the rows beside it. Use "
                f"torch's layers and skattn.kernels, whose rows do not depend on their place, "
                f"with widths that are multiples of 16, and leave predict to SequenceRegressor."
            )


def check_every_step_reaches_the_output(estimator: SequenceRegressor) -> None:
    """Change one step of each window: some prediction changes, for each of the steps."""
    probe = Probe(estimator)
    before, other = probe.forward(), probe.garbage() / 1000
    unread = []
    for step in range(probe.x.shape[-2]):
        x = probe.x.clone()
        x[..., step, :] = other[..., step, :]
        if torch.equal(probe.forward(x=x), before):
            unread.append(step)
    if unread:
        raise AssertionError(
            f"{probe.name}.forward does not read the steps {unread} of {probe.x.shape[-2]} (0 is "
            f"the oldest): no prediction changes where these steps change. Let forward read all "
            f"of x[:, 0] to x[:, -1]; the time axis is the one before the last. A model that is "
            f"meant to read fewer steps is given shorter windows."
        )


def check_every_field_reaches_the_output(estimator: SequenceRegressor) -> None:
    """Change one field of each window: some prediction changes, for each of the fields."""
    probe = Probe(estimator)
    before, other = probe.forward(), probe.garbage() / 1000
    unread = []
    for field in range(probe.x.shape[-1]):
        x = probe.x.clone()
        x[..., field] = other[..., field]
        if torch.equal(probe.forward(x=x), before):
            unread.append(field)
    if unread:
        raise AssertionError(
            f"{probe.name}.forward does not read the fields {unread} of {probe.x.shape[-1]}: no "
            f"prediction changes where these fields change. Let forward read the whole last axis "
            f"of x, of n_features columns."
        )


FIRST = (check_fit_and_predict, check_forward_is_the_same_twice)
ROWS = (check_batches_of_one_row, check_rows_do_not_see_each_other)
EVERY = (
    check_order_of_rows_does_not_matter,
    check_number_of_rows_does_not_matter,
    check_predictions_do_not_depend_on_other_rows,
    check_every_step_reaches_the_output,
    check_every_field_reaches_the_output,
)
