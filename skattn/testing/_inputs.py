"""What a model is given: labels that are missing, rows in any order, numbers of other precision."""

from __future__ import annotations

import numpy as np
import torch

from skattn.base import CrossSectionalRegressor, SequenceRegressor
from skattn.testing._data import Probe, fitted, make_panel, small

FIT = "Leave fit and predict to SequenceRegressor"


def check_unlabelled_rows_are_not_trained_on(estimator: SequenceRegressor) -> None:
    """Fit with rows without a label, and without these rows; of whole days, whole days."""
    panel = make_panel()
    unlabelled = panel.days.isin(panel.days.unique()[2::3])
    if not isinstance(estimator, CrossSectionalRegressor):
        # In whole days, rows without a label are context.
        unlabelled |= np.arange(len(panel.y)) % 5 == 0
    model = small(estimator)
    with_nan = model.fit(panel.X, panel.y.mask(unlabelled)).predict(panel.X)
    without = small(estimator).fit(*panel.rows(~unlabelled)).predict(panel.X)
    if not np.array_equal(with_nan, without):
        raise AssertionError(
            f"rows whose labels are NaN change the fit: NaN means unlabelled, and such rows are "
            f"never trained on. {FIT}, and the mean over labelled rows to its loss."
        )
    # A day of some labels: the other rows are predicted, too, and their loss is no number.
    every_other = np.arange(len(panel.y)) % 2 == 0
    predicted = small(estimator).fit(panel.X, panel.y.mask(every_other)).predict(panel.X)
    if not np.isfinite(predicted).all():
        raise AssertionError(
            f"after a fit on labels of which some are NaN, predictions are NaN: rows without a "
            f"label are masked in the loss. {FIT}, and the mask to its loss."
        )


def check_rows_keep_their_order(estimator: SequenceRegressor) -> None:
    """Predict rows in another order: predictions come in the order of the rows."""
    model, panel = fitted(estimator)
    order = np.random.default_rng(0).permutation(len(panel.y))
    predicted = model.predict(panel.X)
    if not np.array_equal(model.predict(panel.X[order]), predicted[order]):
        raise AssertionError(
            f"predict does not give predictions in the order of the rows of X: prediction i "
            f"belongs to row i, whatever days and stocks the rows are of. {FIT}."
        )
    rows = {"days": panel.days, "instruments": panel.stocks}
    by_arguments = model.predict(np.asarray(panel.X), **rows)
    if not np.array_equal(by_arguments, predicted):
        raise AssertionError(
            f"predict(array, days=..., instruments=...) differs from predict of the same windows "
            f"with an index. {FIT}, which read days and instruments from either."
        )


def check_float64_is_read_as_float32(estimator: SequenceRegressor) -> None:
    """Give windows and labels in float64: the bits of float32."""
    model, panel = fitted(estimator)
    wide = np.asarray(panel.X, dtype=np.float64)
    rows = {"days": panel.days, "instruments": panel.stocks}
    again = small(estimator).fit(wide, panel.y.to_numpy(np.float64), **rows)
    dtypes = {p.dtype for p in model.module_.parameters()}
    if dtypes != {torch.float32}:
        raise AssertionError(
            f"{type(model.module_).__name__} has parameters of {sorted(map(str, dtypes))}: the "
            f"windows are float32, and so are the weights. Make them without a dtype."
        )
    if not np.array_equal(again.predict(wide, **rows), model.predict(panel.X)):
        raise AssertionError(
            f"windows in float64 give other predictions than the same windows in float32: forward "
            f"gets float32 whatever X is. {FIT}."
        )


def check_bf16_is_near_float32(estimator: SequenceRegressor) -> None:
    """Predict and train in bfloat16."""
    probe = Probe(estimator)
    full = probe.forward()[probe.present]
    where = f"{probe.name}.forward under autocast (precision='bf16')"
    cure = (
        "Give new tensors the dtype of the values beside them (x.new_zeros, values.to(x.dtype)), "
        "and compute what needs digits (cumulated sums, differences of like numbers) within "
        "`with torch.autocast(x.device.type, enabled=False)`, on x.float()."
    )
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = probe.forward()[probe.present].float()
    except (RuntimeError, TypeError) as error:
        raise AssertionError(
            f"{probe.name}.forward fails under autocast (precision='bf16'): {error} {cure}"
        ) from error
    spread = float(full.std() + full.abs().mean())
    distance = float((half - full).abs().mean())
    if not distance <= 0.05 * spread:
        raise AssertionError(
            f"{where} is not near float32: predictions differ by {distance:.2g} on average, where "
            f"they themselves are about {spread:.2g}. {cure}"
        )
    model, panel = fitted(estimator, precision="bf16")
    predicted = model.predict(panel.X)
    if predicted.dtype != np.float32 or not np.isfinite(predicted).all():
        raise AssertionError(f"{where} gives {predicted.dtype}, or NaN or infinity. {cure}")


INPUTS = (
    check_unlabelled_rows_are_not_trained_on,
    check_rows_keep_their_order,
    check_float64_is_read_as_float32,
    check_bf16_is_near_float32,
)
