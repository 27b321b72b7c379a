"""An ensemble of models over two views of prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from inspect import signature
from typing import Any

from sklearn.ensemble import VotingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline

from skattn.base import SequenceRegressor
from skattn.compose import CrossSectionalTarget
from skattn.parameters import check_value, shown
from skattn.plugins import get_model, make_model
from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    CrossSectionalScaler,
    RobustZScore,
    RollingWindow,
)
from skattn.recipes._schedule import FallingRate
from skattn.utils import check_jobs

#: Training parameters of the recipe. The learning rate falls to 0 along a half cosine.
TRAINING = {"lr": 1e-3, "batch_size": 800, "max_epochs": 3, "weight_decay": 1e-4}
# Statistics of Alpha158 that read volume.
OF_VOLUME = ("CORR", "CORD", "VMA", "VSTD", "WVMA", "VSUMP", "VSUMN", "VSUMD")
MAX_SEEDS = 1_000
MAX_SEED = 2**32 - 1


def _factors(volume: bool) -> list[Any]:
    """All features of Alpha158, ranked within the day, over 10 days."""
    return [
        Alpha158(vwap="typical", exclude=() if volume else OF_VOLUME),
        CrossSectionalScaler("rank"),
        # A stock without a value stands in the middle of the day.
        SimpleImputer(strategy="constant", fill_value=0.0).set_output(transform="pandas"),
        RollingWindow(10, fill_method="ffill+bfill"),
    ]


def _prices(volume: bool) -> list[Any]:
    """Prices and volume of 20 days, relative to today's."""
    fields = None if volume else ("close", "open", "high", "low", "vwap")
    return [Alpha360(fields, length=20, vwap="typical"), RobustZScore()]


VIEWS: dict[str, Callable[[bool], list[Any]]] = {"factors": _factors, "prices": _prices}


def make_signal_model(
    models: str | Sequence[str] = "gru",
    *,
    views: str | Sequence[str] = ("factors", "prices"),
    n_seeds: int = 3,
    volume: bool = True,
    random_state: int = 0,
    n_jobs: int | None = None,
    **params: Any,
) -> Pipeline | VotingRegressor:
    """Make a model from prices to a signal that is trained as won out of sample.

    Parameters
    ----------
    models : str or sequence of str, default="gru"
        Names of models, as :func:`skattn.list_models` lists them. Several models vote.
    views : {"factors", "prices"} or sequence of them, default=("factors", "prices")
        What the models look at. Each view has models of its own, and the views vote.

        - "factors": all features of :class:`~skattn.preprocessing.Alpha158`, ranked within the
          day, over 10 days;
        - "prices": :class:`~skattn.preprocessing.Alpha360` over 20 days, scaled by the training
          days.
    n_seeds : int, default=3
        Number of fits of each model and view, which differ by their seed and vote.
    volume : bool, default=True
        Whether the prices have a column "volume". False leaves out what needs volume.
    random_state : int, default=0
        Seed of the first fit; the others have the next numbers.
    n_jobs : int, default=None
        Number of seeds and models of a view that are trained at a time, in processes. None means 1
        unless in a ``joblib.parallel_config`` context. The signal does not depend on ``n_jobs``.
    **params : object
        Parameters of the models, such as ``device`` or ``max_epochs``, in place of the recipe's. A
        parameter that only some of the models have, such as HIST's ``concepts``, goes to these.
        With ``callbacks``, the learning rate has no schedule but theirs.

    Returns
    -------
    model : Pipeline or VotingRegressor
        Not fitted. ``fit`` and ``predict`` take a table of prices with a (datetime, instrument)
        index and the columns open, high, low, close and volume. The label may be any return; it is
        ranked within the day for training. The order of predictions within a day is the signal.

    Raises
    ------
    TypeError, ValueError
        A model or view is unknown or named twice, a parameter is unknown to all of the models, or
        another parameter is out of range. Values of the models' parameters are checked by ``fit``.

    See Also
    --------
    walk_forward_signal : The out-of-sample signal of this model, in one call.
    skattn.compose.LearntConcepts : Learns concepts for ``make_signal_model("hist")`` from prices.

    Notes
    -----
    The recipe has no validation days. Models that are trained for a fixed number of epochs, with a
    falling learning rate, were better than those that early stopping ended, and all days are there
    for training. Three epochs are for two years of 300 stocks, that is about 500 steps of 800 rows.
    For a smaller market raise ``max_epochs``, so that there are about as many steps.

    The mean of the two views has a higher rank IC than either alone for most models.
    "prices" trades more: where costs are high, ``views="factors"`` keeps more.

    Averages of models are fair, because all of them are trained on ranks.

    Fit on more than 70 days: the longest feature looks back 60 days, and the window 10 more.

    ``predict`` remembers the last days that ``fit`` has seen, so that the prices of the days since
    then give their signal, to the bit that the whole table would give. A rank within the day needs
    all stocks of the day.

    With ``early_stopping=True`` give ``purge``, the reach of the label in days: a vote of
    scikit-learn's does not pass on what the label tells of itself.

    Examples
    --------
    >>> from skattn import make_label
    >>> from skattn.datasets import make_market
    >>> from skattn.recipes import make_signal_model
    >>> ohlcv = make_market(n_stocks=20, n_days=100, random_state=0).ohlcv
    >>> model = make_signal_model("gru", n_seeds=1, hidden_size=8)
    >>> model.fit(ohlcv, make_label(ohlcv)).predict(ohlcv).shape == (len(ohlcv),)
    True
    """
    names = _read_names("models", models, "'gru' or ('gru', 'lstm')")
    chosen = _read_names("views", views, "'factors' or ('factors', 'prices')", [*VIEWS])
    n_seeds = check_value("n_seeds", n_seeds, "int", at_least=1, at_most=MAX_SEEDS)
    volume = check_value("volume", volume, "bool")
    first = check_value(
        "random_state", random_state, "int", at_least=0, at_most=MAX_SEED - n_seeds + 1
    )
    n_jobs = check_value("n_jobs", n_jobs, "int | None", check=check_jobs)
    classes: dict[str, Any] = {name: get_model(name) for name in names}
    taken = {name: [*cls._get_param_names()] for name, cls in classes.items()}
    _check_known(params, taken)
    seeds = range(first, first + n_seeds)
    pipelines: list[tuple[str, Pipeline]] = []
    for view in chosen:
        # Each voter ranks the label itself: a vote of scikit-learn's would drop unlabelled stocks
        # before models see them.
        voters = [
            (f"{name}-{seed}", CrossSectionalTarget(_make_regressor(name, seed, params, taken)))
            for name in names
            for seed in seeds
        ]
        vote = voters[0][1] if len(voters) == 1 else VotingRegressor(voters, n_jobs=n_jobs)
        pipelines.append((view, make_pipeline(*VIEWS[view](volume), vote)))
    return pipelines[0][1] if len(pipelines) == 1 else VotingRegressor(pipelines)


def _make_regressor(
    name: str, seed: int, params: dict[str, Any], taken: dict[str, list[str]]
) -> Any:
    """Make a model with the recipe's and the user's parameters, as far as the model has them."""
    training = {**TRAINING, "early_stopping": False, **params, "random_state": seed}
    own = {key: value for key, value in training.items() if key in taken[name]}
    if own.get("callbacks") is None and issubclass(get_model(name), SequenceRegressor):
        own["callbacks"] = [FallingRate("CosineAnnealingLR", T_max=own["max_epochs"])]
    return make_model(name, **own)


def _check_known(params: dict[str, Any], taken: dict[str, list[str]]) -> None:
    """Raise where a parameter is none of any model."""
    of_models = {each for allowed in taken.values() for each in allowed}
    unknown = [name for name in params if name not in of_models]
    if not unknown:
        return
    own = [*signature(make_signal_model).parameters][:-1]
    close = get_close_matches(unknown[0], [*own, *of_models], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise TypeError(
        f"{shown(unknown[0])} is no parameter of the recipe, which has {own}, nor of the models "
        f"{[*taken]}, which have {sorted(of_models)}.{hint}"
    )


def _read_names(
    parameter: str, given: Any, example: str, allowed: Sequence[str] | None = None
) -> list[str]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"{parameter} must be a name or a list or tuple of names, such as {example}; got "
            f"{shown(given)}."
        )
    if not names or len({*names}) < len(names):
        raise ValueError(
            f"{parameter} must have at least one name, and each name once, such as {example}; got "
            f"{shown(given)}."
        )
    for name in names if allowed is not None else ():
        if name not in (allowed or ()):
            raise ValueError(f"{parameter} must be of {allowed}; got {shown(name)}.")
    return [*names]
