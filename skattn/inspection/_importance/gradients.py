"""Importance of fields and lags by integrated gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils import Bunch

from skattn.base import SequenceRegressor
from skattn.inspection._fitted import fitted_model
from skattn.inspection._importance.rows import ModelRows, count_rows
from skattn.inspection._sampling import spread
from skattn.parameters import as_floats, check_value
from skattn.training import Batches, DayBatches, Samples, SequenceNet, predict_rows
from skattn.utils import evenly

# Windows that pass through the net at a time, with all that a backward pass needs of them.
WINDOWS = 1024
MAX_STEPS = 10_000


def integrated_gradients(
    estimator: Any,
    X: Any,
    *,
    baseline: Any = None,
    n_steps: int = 32,
    max_samples: float = 1_000,
    days: Any = None,
    instruments: Any = None,
) -> Bunch:
    """Attribute predictions to the fields and lags of their windows by integrated gradients.

    The gradient of a prediction is averaged on the straight line from a baseline to the window, and
    multiplied by the difference of both. The attributions of a window add up to the difference of
    the predictions for the window and for the baseline. No labels are needed: attributions tell
    what moves the predictions, right or wrong.

    Parameters
    ----------
    estimator : skattn regressor, Pipeline, search, CrossSectionalTarget or LearntConcepts
        Fitted; a pipeline must end in a skattn regressor.
    X : input of the estimator's ``predict``, N rows
        Rows to explain.
    baseline : None, "mean" or array-like of shape (T, F), default=None
        Window to compare with, in the units of the model's input. None: zeros, which are the
        training median of each cell after ``RobustZScore``, and the middle of the day's stocks
        after ``CrossSectionalScaler``. Without scaling, zero is no usual value: take "mean", the
        mean of the windows that are explained.
    n_steps : int, default=32
        Points on the line. More points lower ``error``.
    max_samples : int or float in (0, 1], default=1_000
        Number of rows, or share of the rows, that are explained, evenly spaced over time. For
        models that look across stocks these are whole days, at least one. Each row costs
        ``n_steps`` forward and backward passes.
    days, instruments : array-like of shape (N,), default=None
        Day and instrument of each row, as for ``predict``. Models that look across stocks need the
        days.

    Returns
    -------
    result : Bunch
        importance : DataFrame of shape (F, T)
            Mean absolute attribution by field and lag, in the unit of the predictions. Columns are
            lags, as of :func:`attention_weights`: T - 1 to 0, the latest.
        signed : DataFrame of shape (F, T)
            Mean attribution.
        error : float
            Largest difference between the sum of attributions and the difference of predictions,
            as a share of the mean absolute difference of predictions. A large error asks for more
            steps.
        n_samples : int
            Number of rows that were explained.

    Raises
    ------
    ImportError
        captum is not installed.
    TypeError
        The estimator is not a skattn regressor and does not end in a skattn regressor.
    ValueError
        The baseline has another shape or is not finite, a parameter is out of range, or the model
        looks across stocks and the days are unknown.

    See Also
    --------
    permutation_importance : What the inputs are worth for the IC, with labels.

    Notes
    -----
    The prediction of a model that looks across stocks depends on the windows of all stocks of the
    day, and the sum of a day's predictions may be constant. What is attributed there is the sum of
    the day's predictions above their median minus the sum of the others, and the attributions of
    the whole day add up to it. The baseline replaces the windows of all the day's stocks, and the
    sign of attributions is turned for stocks below the median. Side inputs, such as concepts, stay.

    References
    ----------
    M. Sundararajan, A. Taly and Q. Yan (2017), "Axiomatic Attribution for Deep Networks", ICML,
    arXiv 1703.01365. captum, ``captum.attr.IntegratedGradients``.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import GRURegressor
    >>> from skattn.inspection import integrated_gradients
    >>> X = np.random.default_rng(0).normal(size=(400, 6, 2)).astype("float32")
    >>> y = X[:, -2, 1]
    >>> model = GRURegressor(hidden_size=8, max_epochs=20, lr=0.02, random_state=0).fit(X, y)
    >>> integrated_gradients(model, X).importance.stack().idxmax()
    ('x1', 1)
    """
    import_captum("integrated_gradients")
    n_steps = check_value("n_steps", n_steps, "int", at_least=1, at_most=MAX_STEPS)
    check_value("max_samples", max_samples, "int | float", above=0)
    model, X = fitted_model(estimator, X, "integrated_gradients")
    rows = ModelRows(model, X, days=days, instruments=instruments, needs_days=False)
    numbers = np.arange(len(rows))
    taken = count_rows("max_samples", max_samples, len(rows))
    if rows.whole_days:
        units = spread(rows.by_day(numbers), taken)
    else:
        ordered = numbers if rows.days is None else np.concatenate(rows.by_day(numbers))
        chosen = ordered[evenly(len(rows), taken)]
        step = max(1, WINDOWS // n_steps)
        units = [chosen[first : first + step] for first in range(0, len(chosen), step)]
    zero = _read_baseline(baseline, rows, np.concatenate(units))
    absolute, signed, error = _attribute_units(model, rows, units, zero, n_steps)
    n_rows = sum(map(len, units))
    return Bunch(
        importance=_frame(absolute / n_rows, rows),
        signed=_frame(signed / n_rows, rows),
        error=error,
        n_samples=n_rows,
    )


@torch.inference_mode(False)
def _attribute_units(
    model: SequenceRegressor,
    rows: ModelRows,
    units: list[np.ndarray],
    zero: np.ndarray,
    n_steps: int,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Sum attributions over rows, without and with their sign; and the error of their sums."""
    explain = _explain_day if rows.whole_days else _explain_rows
    net = model.net_
    net.module_.eval()
    absolute, signed, misses, changes = np.zeros(zero.shape), np.zeros(zero.shape), [], []
    for unit in units:
        attributed, sign, change = explain(net, rows.samples(unit), zero, n_steps)
        absolute += np.abs(attributed).sum(axis=0)
        signed += (attributed * sign[:, None, None]).sum(axis=0)
        sums = attributed.sum(axis=(1, 2))
        misses.append(np.abs((sums.sum() if rows.whole_days else sums) - change).max())
        changes.append(np.abs(change).mean())
    scale = np.mean(changes)
    return absolute, signed, float(max(misses) / scale) if scale else 0.0


def import_captum(what: str) -> Any:
    """Give captum's IntegratedGradients, or raise an ImportError that names the extra."""
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise ImportError(
            f'{what} needs captum, which is not installed: pip install "skattn[explain]".'
        ) from error
    return IntegratedGradients


def _read_baseline(baseline: Any, rows: ModelRows, chosen: np.ndarray) -> np.ndarray:
    """Give the window (T, F) to compare with."""
    shape = (rows.n_steps, len(rows.fields))
    if baseline is None:
        return np.zeros(shape, dtype=np.float32)
    if isinstance(baseline, str):
        check_value("baseline", baseline, "str", one_of=("mean",))
        parts = rows.chunks(np.array_split(chosen, -(-len(chosen) // WINDOWS)))
        total = sum(rows.gather(np.concatenate(part)).sum(0, dtype=np.float64) for part in parts)
        return (total / len(chosen)).astype(np.float32)
    window = as_floats("baseline", baseline)
    with np.errstate(over="ignore"):
        window = window.astype(np.float32)
    if window.shape != shape or not np.isfinite(window).all():
        got = f"shape {window.shape}" if window.shape != shape else "NaN or infinity"
        raise ValueError(
            f'baseline must be None, "mean" or a finite window of shape {shape}, steps by fields, '
            f"oldest step first; got {got}."
        )
    return window


def _explain_rows(
    net: SequenceNet, samples: Samples, zero: np.ndarray, n_steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Attribute the predictions of single rows: attributions, signs, and what they add up to."""
    predicted, of_base = _predict_both(net, samples, zero)
    inputs, _ = Batches(samples, len(samples), net.side_inputs).batch_of(slice(0, len(samples)))
    named = inputs if isinstance(inputs, dict) else {"x": inputs}

    def compute(**inputs: torch.Tensor) -> torch.Tensor:
        return net.infer(inputs)  # in blocks, on several threads

    attributed = _attribute(net, compute, named, zero[None], n_steps, WINDOWS)
    return attributed, np.ones(len(samples)), predicted - of_base


def _explain_day(
    net: SequenceNet, samples: Samples, zero: np.ndarray, n_steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Attribute how far the upper half of a day's predictions lies above the lower half."""
    predicted, of_base = _predict_both(net, samples, zero)
    sign = np.where(predicted > np.median(predicted), 1.0, -1.0)
    weights = torch.as_tensor(sign, dtype=torch.float32, device=net.device)
    inputs, _ = DayBatches(samples, 1, net.side_inputs).batch_of([np.arange(len(samples))])

    def compute(x: torch.Tensor, **beside: torch.Tensor) -> torch.Tensor:
        return net.compute(x, **beside) @ weights

    days_at_once = max(1, WINDOWS // len(samples))
    attributed = _attribute(net, compute, inputs, zero[None, None], n_steps, days_at_once)[0]
    return attributed, sign, np.array([sign @ (predicted - of_base)])


def _predict_both(
    net: SequenceNet, samples: Samples, zero: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predict rows, and the same rows with the baseline for their windows."""
    predicted = predict_rows(net, samples)
    windows = np.repeat(zero[None], len(samples), axis=0)
    of_base = Samples(windows, samples.y, samples.days, samples.instruments)
    return predicted.astype(np.float64), predict_rows(net, of_base).astype(np.float64)


def _attribute(
    net: SequenceNet,
    compute: Callable[..., torch.Tensor],
    inputs: dict[str, torch.Tensor],
    zero: np.ndarray,
    n_steps: int,
    at_once: int,
) -> np.ndarray:
    """Integrate the gradients of the first axis' values, ``at_once`` points at a time."""
    tensors = {name: values.to(net.device) for name, values in inputs.items()}
    x = tensors.pop("x")

    def forward(x: torch.Tensor, *beside: torch.Tensor) -> torch.Tensor:
        return compute(x=x, **dict(zip(tensors, beside, strict=True)))

    # cuDNN computes no gradients of recurrent layers that are not in training.
    with torch.backends.cudnn.flags(enabled=False):
        attributed = import_captum("integrated_gradients")(forward).attribute(
            x,
            torch.from_numpy(zero).to(x),
            additional_forward_args=tuple(tensors.values()) or None,
            n_steps=n_steps,
            internal_batch_size=max(at_once, len(x)),
        )
    return attributed.detach().double().cpu().numpy()


def _frame(values: np.ndarray, rows: ModelRows) -> pd.DataFrame:
    """Lay (T, F) out as fields by lags."""
    n_steps = len(values)
    lags = pd.RangeIndex(n_steps - 1, -1, -1, name="lag")
    return pd.DataFrame(values.T, pd.Index(rows.fields, name="field"), lags)
