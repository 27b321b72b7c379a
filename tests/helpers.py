"""What several test files need."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import median_abs_deviation, rankdata, zscore
from sklearn.base import clone
from torch.nn.functional import mse_loss

from skattn.base import SequenceRegressor
from skattn.models import ALSTMRegressor, HISTRegressor
from skattn.panel import WindowArray, build_windows
from skattn.preprocessing import Alpha158

KEYS = ["datetime", "instrument"]


# Tables and indexes -----------------------------------------------------------------------------


def days_in(table: pd.DataFrame | pd.Series) -> pd.DatetimeIndex:
    """Read the day of each row from the index."""
    return table.index.get_level_values("datetime")


def with_value(table: pd.DataFrame, row: int, column: str, value) -> pd.DataFrame:
    """Copy a table and change one cell."""
    table = table.copy()
    table.iloc[row, table.columns.get_loc(column)] = value
    return table


CALENDAR = pd.DatetimeIndex(
    ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"]
)


def index_of(pairs, calendar: pd.DatetimeIndex = CALENDAR) -> pd.MultiIndex:
    """(datetime, instrument) keys from pairs (day number, stock number)."""
    days = calendar[[day for day, _ in pairs]]
    return pd.MultiIndex.from_arrays([days, [f"S{s}" for _, s in pairs]], names=KEYS)


def scrambled(index: pd.MultiIndex, seed: int = 0) -> pd.MultiIndex:
    """An equal index whose levels are out of order and have values that no row has."""
    rng = np.random.default_rng(seed)
    unused = index_of([(day, 90 + day) for day in range(len(CALENDAR))])
    levels, codes = [], []
    for name in index.names:
        values = index.unique(name).union(unused.unique(name))
        levels.append(values[rng.permutation(len(values))])
        codes.append(levels[-1].get_indexer(index.get_level_values(name)))
    return pd.MultiIndex(levels, codes, names=index.names)


def ragged_panel(
    n_days: int = 30, n_stocks: int = 6, share: float = 0.8, seed: int = 0
) -> pd.DataFrame:
    """Two fields of a shuffled panel in which stocks miss days; a few values are NaN."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=n_days)
    index = pd.MultiIndex.from_product([days, [f"S{i}" for i in range(n_stocks)]], names=KEYS)
    index = index[rng.permutation(len(index))[: int(share * len(index))]]
    values = rng.standard_normal((len(index), 2)).astype(np.float32)
    values[rng.random(values.shape) < 0.05] = np.nan
    return pd.DataFrame(values, index, columns=["a", "b"])


def ragged_windows(length: int = 4, **params) -> WindowArray:
    """Windows of the ragged panel's two fields."""
    table = ragged_panel(**params)
    return build_windows(table.to_numpy(), table.index, length, fields=("a", "b"))


def windows_of(X: np.ndarray, index: pd.MultiIndex) -> WindowArray:
    """The same windows with an index."""
    n, length, n_features = X.shape
    return WindowArray(
        X.reshape(-1, n_features), np.arange(n) * length + length - 1, length, index=index
    )


# Prices -----------------------------------------------------------------------------------------

OHLCV = ["open", "high", "low", "close", "volume"]
QLIB_ORDER = ("close", "open", "high", "low", "vwap", "volume")


def ragged_prices(
    n_days: int = 14,
    n_stocks: int = 4,
    share: float = 0.85,
    seed: int = 0,
    missing: float = 0.05,
    zone: str | None = None,
) -> pd.DataFrame:
    """A ragged, shuffled market in which values are missing or zero."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=n_days, tz=zone, name="datetime")
    index = pd.MultiIndex.from_product([days, [f"S{i}" for i in range(n_stocks)]], names=KEYS)
    table = pd.DataFrame(10 * np.exp(rng.normal(0, 0.1, (len(index), 5))), index, columns=OHLCV)
    table["volume"] = rng.integers(1, 10**6, len(index))
    table = table.astype({"volume": "float64"})
    table = table.mask(rng.random(table.shape) < missing)
    table = table.mask(rng.random(table.shape) < missing, 0.0)
    return table.iloc[rng.permutation(len(index))[: int(share * len(index))]]


def heavy_tailed(shape: tuple[int, ...], seed: int = 0, dtype=np.float64) -> np.ndarray:
    """Values with outliers, a fifth of them missing."""
    rng = np.random.default_rng(seed)
    values = rng.standard_t(2, shape)
    values[rng.random(shape) < 0.2] = np.nan
    return values.astype(dtype)


def columns_of_ones(*names: str) -> pd.DataFrame:
    """Two rows of ones under names that tell a feature and a lag, or do not."""
    return pd.DataFrame(np.ones((2, len(names))), columns=list(names))


# Labels -----------------------------------------------------------------------------------------


def label_reaching(n_days, y=None):
    """Labels that tell how many days ahead they reach."""
    y = pd.Series([0.1, 0.2]) if y is None else y.copy()
    y.attrs["reach"] = n_days
    return y


# Scaling within a day ---------------------------------------------------------------------------

SCALING_METHODS = ("rank", "zscore", "robust")


def scale_by_hand(values: np.ndarray, method: str) -> np.ndarray:
    """One day by scipy, a value that is missing left out."""
    scaled = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    x = values[known].astype(float)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method == "rank":
            scaled[known] = (rankdata(x) / len(x) - 0.5) * 3.46
        elif method == "zscore":
            same = len(x) == 0 or np.ptp(x) == 0
            scaled[known] = np.nan if same else zscore(x, ddof=1)
        elif len(x):
            mad = 1.4826 * median_abs_deviation(x)
            scaled[known] = np.clip((x - np.median(x)) / mad, -3, 3)
    return scaled


def scale_days_by_hand(column: pd.Series, method: str) -> np.ndarray:
    """Every day of a column by itself."""
    days = days_in(column)
    scaled = np.empty(len(column))
    for day in days.unique():
        scaled[days == day] = scale_by_hand(column.to_numpy()[days == day], method)
    return scaled


# Models -----------------------------------------------------------------------------------------


def small_alstm(**params) -> ALSTMRegressor:
    """A model that trains in a moment."""
    defaults = {"hidden_size": 6, "max_epochs": 4, "batch_size": 32, "lr": 0.01, "random_state": 0}
    return ALSTMRegressor(**{**defaults, **params})


def weights_of(model: SequenceRegressor) -> np.ndarray:
    """All weights of a fitted model in one row."""
    return np.concatenate([p.detach().numpy().ravel() for p in model.module_.parameters()])


class PrintsWhenUnpickled:
    """What an attacker may put into a file."""

    def __reduce__(self):
        return (print, ("code ran",))


STOCKS = [f"S{i}" for i in range(9)]
# S8 is in no concept; S7 is alone in its own.
SECTORS = pd.Series(dict(zip(STOCKS[:8], "aaabbbbc", strict=True)), name="sector")
DUMMIES = pd.get_dummies(SECTORS, dtype=float)

may_lack_concepts = pytest.mark.filterwarnings("ignore:.*belong to no concept:UserWarning")


def small_hist(**params) -> HISTRegressor:
    """A model of the nine stocks' sectors that trains in a moment."""
    defaults = {
        "concepts": SECTORS,
        "hidden_size": 6,
        "num_layers": 1,
        "days_per_batch": 3,
        "max_epochs": 2,
        "lr": 0.01,
        "random_state": 0,
    }
    return HISTRegressor(**{**defaults, **params})


def make_stock_days(sizes: list[int], seed: int = 0) -> tuple[WindowArray, pd.Series]:
    """Days of several sizes, rows sorted, and a label that the sector's mean tells."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=len(sizes))
    names = STOCKS + [f"T{i}" for i in range(max(sizes) - len(STOCKS))]
    rows = [
        (day, stock)
        for day, n in zip(days, sizes, strict=True)
        for stock in sorted(rng.choice(names, n, replace=False))
    ]
    index = pd.MultiIndex.from_tuples(rows, names=KEYS)
    X = rng.normal(size=(len(index), 5, 2)).astype(np.float32)
    own = pd.Series(X[:, -1, 0], index=index)
    sector = index.get_level_values("instrument").map(SECTORS.to_dict()).fillna("none")
    shared = own.groupby([index.get_level_values("datetime"), sector]).transform("mean")
    y = (3 * shared - own).rename("label")
    y.attrs["reach"] = 2
    return windows_of(X, index), y


# Comparisons ------------------------------------------------------------------------------------


def assert_same_bits(left, right) -> None:
    """Compare type and values of two arrays exactly, NaN included."""
    left, right = np.asarray(left), np.asarray(right)
    assert left.dtype == right.dtype
    assert_array_equal(left, right, strict=True)


# Splitters --------------------------------------------------------------------------------------


def with_purge(cv, purge: int):
    """Copy a splitter and change its purge."""
    cv = clone(cv, safe=False)
    cv.purge = purge
    return cv


# Modules of ours and of qlib's ------------------------------------------------------------------


def normal_tensor(*shape: int, seed: int | list[int] = 1) -> torch.Tensor:
    """Draw standard normal numbers in float32."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def flat_windows(windows):
    """Windows (B, T, F) as qlib has them: (B, F * T), feature by feature."""
    if not isinstance(windows, torch.Tensor):
        windows = np.asarray(windows)
    return windows.swapaxes(1, 2).reshape(len(windows), -1)


def draw_weights(
    module: torch.nn.Module,
    scale: Callable[[str, torch.Tensor], tuple[float, float] | None],
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    """Draw a state dict; scale says each part's mean and spread, or None to leave it out."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, value in module.state_dict().items():
        if (mean_and_std := scale(name, value)) is not None:
            drawn = rng.normal(*mean_and_std, value.shape)
            weights[name] = torch.from_numpy(drawn.astype(np.float32))
    return weights


def outputs_and_gradients(
    module: torch.nn.Module,
    predict: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
) -> dict[str, torch.Tensor | None]:
    """What is predicted, and the gradients of its squared error, by name of the parameter."""
    leaf = x.clone().requires_grad_()
    predicted = predict(leaf)
    assert predicted.shape == y.shape
    mse_loss(predicted, y).backward()
    gradients = {name: p.grad for name, p in module.named_parameters()}
    return {**gradients, "predicted": predicted.detach(), "x": leaf.grad}


def assert_tensors_close(actual: dict, expected: dict, tolerance: float) -> None:
    """Compare tensors by name, to an absolute tolerance."""
    assert set(actual) == set(expected)
    for name, value in expected.items():
        assert_allclose(actual[name], value, rtol=0, atol=tolerance, err_msg=name)


def train_in_a_plain_loop(
    module: torch.nn.Module, regressor: SequenceRegressor, batches: Iterable, loss_of: Callable
) -> list[float]:
    """Train as the regressor did; returns the loss of each batch.

    Some gradients must be above the clip and some not, so that the clip is put to the test.
    """
    adam = torch.optim.Adam(
        module.parameters(), lr=regressor.lr, weight_decay=regressor.weight_decay
    )
    losses, clipped = [], []
    for _ in range(regressor.max_epochs):
        for batch in batches:
            loss = loss_of(*batch)
            adam.zero_grad()
            loss.backward()
            clipped += [
                float((p.grad.abs() > regressor.clip_value).float().mean())
                for p in module.parameters()
                if p.grad is not None
            ]
            torch.nn.utils.clip_grad_value_(module.parameters(), regressor.clip_value)
            adam.step()
            losses.append(loss.item())
    assert 0 < np.mean(clipped) < 1
    return losses


def assert_trained_weights_close(
    regressor: SequenceRegressor, theirs: torch.nn.Module, weights: dict, tolerance: float
) -> None:
    """Both modules moved away from the weights that they began with, to the same place."""
    expected = theirs.state_dict()
    for name, value in regressor.module_.state_dict().items():
        assert (expected[name] - weights[name]).abs().max() > regressor.lr, name
        assert_allclose(value, expected[name], rtol=0, atol=tolerance, err_msg=name)


# qlib's workflows -------------------------------------------------------------------------------

HANDLER_KWARGS = "task.dataset.kwargs.handler.kwargs"
MODEL_KWARGS = "task.model.kwargs"
QLIB_LABEL = "Ref($close, -2) / Ref($close, -1) - 1"
SELECTED20 = list(Alpha158.SELECTED20)

# What the workflows under qlib's examples/benchmarks have in task.model.kwargs.
RNN_KWARGS = {"hidden_size": 64, "num_layers": 2, "dropout": 0.0, "n_epochs": 200, "GPU": 0}
RNN_KWARGS |= {"metric": "loss", "loss": "mse", "lr": 1e-3, "batch_size": 800}
KWARGS_OF_360 = {**RNN_KWARGS, "d_feat": 6, "early_stop": 20}
KWARGS_OF_158 = {**RNN_KWARGS, "d_feat": 20, "early_stop": 10, "n_jobs": 20}
HIST_KWARGS = {**KWARGS_OF_360, "dropout": 0, "lr": 1e-4, "metric": "ic", "base_model": "LSTM"}
HIST_KWARGS.pop("batch_size")


def qlib_processor(name: str, group: str | list[str] | None = None, **kwargs) -> dict:
    """Settings of one of qlib's processors."""
    groups = {} if group is None else {"fields_group": group}
    return {"class": name, "kwargs": {**groups, **kwargs}}


def edit_settings(settings: dict, path: str, value) -> dict:
    """Copy settings and set one key by its dotted path; ``...`` takes it away."""
    settings = copy.deepcopy(settings)
    *parents, last = (int(key) if key.isdigit() else key for key in path.split("."))
    place = settings
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return settings


def keys_of_settings(value, path: str = "") -> set[str]:
    """Every key that holds no mapping, by dotted path: an own reading of what a leaf is."""
    if isinstance(value, dict) and value:
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        parts = enumerate(value)
    else:
        return {path}
    return {
        key for name, part in parts for key in keys_of_settings(part, f"{path}.{name}".lstrip("."))
    }


def model_of(workflow) -> SequenceRegressor:
    """The regressor inside a workflow's pipeline."""
    model = workflow.pipeline["model"]
    return getattr(model, "regressor", model)


def steps_of(workflow) -> list[str]:
    """Classes of the steps before the model."""
    return [type(step).__name__ for _, step in workflow.pipeline.steps[:-1]]


# Pictures ---------------------------------------------------------------------------------------


def texts_of(figure) -> list:
    """The boxes of all texts that are drawn, in pixels."""
    from matplotlib.text import Text

    figure.canvas.draw()
    drawn = [
        text
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and text.get_figure() is not None
    ]
    for ax in figure.axes:
        # Ticks beyond the limits and labels of hidden axes exist and are not drawn.
        if not ax.axison:
            hidden = set(ax.findobj(Text)) - {ax.title}
            drawn = [text for text in drawn if text not in hidden]
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            low, high = sorted((low, high))
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    drawn = [text for text in drawn if text not in (tick.label1, tick.label2)]
    return [(text.get_text().strip(), _box(text)) for text in drawn]


def _box(text):
    """The box without the empty lines above, which make room for a title."""
    box, lines = text.get_window_extent(), text.get_text().split("\n")
    n_empty = next(i for i, line in enumerate(lines) if line.strip())
    box.y1 -= n_empty / len(lines) * box.height
    return box


def assert_texts_fit(figure) -> None:
    """No text is cut by the edge of the figure or overlaps another one."""
    texts = texts_of(figure)
    width, height = figure.canvas.get_width_height()
    for text, box in texts:
        assert box.x0 > -2, text
        assert box.y0 > -2, text
        assert box.x1 < width + 2, text
        assert box.y1 < height + 2, text
    for (first, a), (second, b) in itertools.combinations(texts, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) < 2, (first, second)
