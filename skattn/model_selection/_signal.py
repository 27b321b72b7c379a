"""The out-of-sample signal of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from numbers import Integral
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from skattn.model_selection._base import MAX_SPLITS, check_rows
from skattn.model_selection._rows import (
    KnownRows,
    check_tested_once,
    find_rows,
    pair_of,
    read_folds,
)
from skattn.model_selection._run_folds import CrossValSignal, FoldData
from skattn.model_selection._walk_forward import DailyTimeSeriesSplit
from skattn.model_selection._warm import order_in_time, warm_parameter
from skattn.parameters import check_value, from_tensor, shown
from skattn.utils import check_jobs

NAME = "signal"


@overload
def cross_val_signal(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    refit: str = "cold",
    params: Mapping[str, Any] | None = None,
    return_estimator: Literal[False] = False,
) -> pd.Series | pd.DataFrame: ...


@overload
def cross_val_signal(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    refit: str = "cold",
    params: Mapping[str, Any] | None = None,
    return_estimator: Literal[True],
) -> Bunch: ...


def cross_val_signal(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    refit: str = "cold",
    params: Mapping[str, Any] | None = None,
    return_estimator: bool = False,
) -> pd.Series | pd.DataFrame | Bunch:
    """Predict the test rows of every fold by a model that was trained on the fold's training rows.

    The result is the signal that a researcher would have had: one prediction for each row that is
    tested, made by a model that has not seen the row.

    Parameters
    ----------
    estimator : estimator
        Regressor, Pipeline or search with ``fit`` and ``predict``. It is cloned.
    X : DataFrame, WindowArray or array-like of n_samples rows
        Rows in any order.
    y : Series or array-like of shape (n_samples,), default=None
        Labels. What ``y.attrs`` tells, such as the reach, is known to the splitter and to the fits.
    groups : array-like of dates, shape (n_samples,), default=None
        Groups for the splitter; for the splitters of skattn the trading day of each row. None: the
        days come from ``params["days"]``, else from the index of X, else of y. With scikit-learn's
        metadata routing, pass groups in ``params``.
    cv : int, cross-validator or iterable of (train, test), default=None
        Splits. An int is the number of splits of :class:`DailyTimeSeriesSplit`; None means 5. (In
        scikit-learn an int means KFold, which splits days.) A row may be tested once, except by
        :class:`CombinatorialPurgedDailyKFold`.
    n_jobs : int, default=None
        Number of folds that are trained at a time, in processes; None means 1 unless in a
        ``joblib.parallel_config`` context, and -1 all processors. The signal does not depend on it.
        With ``refit="warm"`` each fold needs the fold before, so that they run in turn whatever
        ``n_jobs`` is.
    refit : {"cold", "warm"}, default="cold"
        "cold": each fold trains a clone from scratch. "warm": the folds are trained in the order of
        their test days, and each fold goes on from the weights of the fold before, as in rolling
        retraining. See Notes.
    params : dict, default=None
        Parameters of ``fit``, such as sample_weight, days and instruments; those with a value for
        each row are cut to the training rows. Days and instruments also go to a ``predict`` that
        takes them. With metadata routing, they go where they are requested: by the splitter, by
        ``fit`` and by ``predict``.
    return_estimator : bool, default=False
        Whether to return the fitted estimators and the rows of the folds, too.

    Returns
    -------
    signal : Series, or DataFrame of shape (n_samples, n_paths)
        Predictions named "signal", in the order of the rows of X. Rows that no fold tests are left
        out; NaN stands where the estimator predicted NaN. A splitter with ``reconstruct_paths``
        gives a DataFrame with a column for each backtest path: "path 0", "path 1", ...
        The index is the index of X, else of y, if it has days; else (datetime, instrument) from
        ``groups`` and ``params`` as far as they tell them; else X's own index, or the positions of
        the rows.
    result : Bunch
        With ``return_estimator=True``, in place of the signal: ``signal``; ``estimator``, the list
        of the fitted estimators by fold; ``indices``, a dict with the row positions of each fold
        under "train" and "test", as ``cross_validate`` returns them.

    Raises
    ------
    TypeError
        The estimator has no ``fit`` and ``predict``, ``params`` is not a dict, or days are not
        dates.
    ValueError
        X, y and days have different rows; ``refit`` is unknown; cv yields no fold, tests a row
        twice or trains on it. With "warm", the estimator has no ``warm_start``, or a fold would
        have learnt from days that are not before its test days. Errors of ``fit`` and ``predict``
        are raised as they are, with the number of the fold as a note.

    See Also
    --------
    sklearn.model_selection.cross_validate : Scores by fold.
    skattn.metrics.signal_report : What a signal is worth.

    Notes
    -----
    *Warm.* The estimator's ``warm_start`` is set to True: of a regressor alone, as the last step of
    a Pipeline, or in CrossSectionalTarget. Steps before it are fitted anew on each fold's training
    rows. What going on means is the regressor's own matter: models of skattn go on from their
    weights with a new optimizer, and their ``pretrained`` counts for the first fold; scikit-learn's
    forests and boosting add no trees as long as ``n_estimators`` or ``max_iter`` stays. No fold may
    learn from days that it tests or from later ones, neither by itself nor through the folds before
    it: walking forward and DateSplit do, blocks of days (k-fold, combinatorial) do not.

    *Progress.* Callbacks that were set on the estimator follow all folds, such as
    ``estimator.set_callbacks(skattn.progress.ProgressBar())``. The folds are the outermost level,
    so that a ``max_propagation_depth`` of 1 shows the folds and the estimator.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn.compose import CrossSectionalTarget
    >>> from skattn.datasets import make_market
    >>> from skattn.metrics import signal_report
    >>> from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
    >>> from skattn.preprocessing import Alpha360, RobustZScore
    >>> market = make_market(n_stocks=20, n_days=120, random_state=0)
    >>> model = make_pipeline(
    ...     Alpha360(["close"], length=5, layout="columns"),
    ...     RobustZScore(),
    ...     CrossSectionalTarget(Ridge()),
    ... )
    >>> cv = DailyTimeSeriesSplit(n_splits=3)
    >>> signal = cross_val_signal(model, market.ohlcv, market.label, cv=cv)
    >>> report = signal_report(market.label.loc[signal.index], signal)
    >>> int(report["days"])  # the last 2 of 90 days have no label
    88
    """
    _check_estimator(estimator)
    refit = check_value("refit", refit, "str", one_of=("cold", "warm"))
    n_jobs = check_value("n_jobs", n_jobs, "int | None", check=check_jobs)
    keep = check_value("return_estimator", return_estimator, "bool")
    if not (params is None or isinstance(params, Mapping)):
        raise TypeError(f"params must be a dict of parameters of fit or None; got {shown(params)}.")
    warm = warm_parameter(estimator) if refit == "warm" else None
    cv = _check_cv(cv)
    if X is None:
        raise TypeError("X must have a row for each sample; got None.")
    check_rows(X=X, y=y, groups=groups)
    X, y = indexable(from_tensor(X), from_tensor(y))
    rows = find_rows(X, y, groups, dict(params or {}), cv)
    split_params, data = _route(estimator, cv, X, y, rows)
    folds = read_folds(cv.split(X, y, **split_params), len(rows.index))
    has_paths = hasattr(cv, "reconstruct_paths")
    if not has_paths:
        check_tested_once(folds, len(rows.index))
    order = None
    if warm is not None:
        order = order_in_time(folds, rows.days, data.fit_params)
        estimator = clone(estimator).set_params(**{warm: True})
    results = CrossValSignal().run(estimator, data, folds, order=order, n_jobs=n_jobs, keep=keep)
    predictions = [predicted for predicted, _ in results]
    if has_paths:
        of_rows = pd.DataFrame(index=rows.index)
        signal = cv.reconstruct_paths(predictions, of_rows, split_params.get("groups"))
        signal = signal.add_prefix("path ").rename_axis(columns=None)
    else:
        tested = np.concatenate([fold.test for fold in folds])
        order_of_rows = np.argsort(tested)
        signal = pd.Series(
            np.concatenate(predictions)[order_of_rows], rows.index[tested[order_of_rows]], name=NAME
        )
    if not keep:
        return signal
    indices = {"train": [fold.train for fold in folds], "test": [fold.test for fold in folds]}
    return Bunch(signal=signal, estimator=[model for _, model in results], indices=indices)


def _check_estimator(estimator: Any) -> None:
    needed = ("fit", "predict", "get_params")
    absent = [name for name in needed if not hasattr(estimator, name)]
    if isinstance(estimator, type) or absent:
        lacks = "a class" if isinstance(estimator, type) else f"without {' and '.join(absent)}"
        raise TypeError(
            f"estimator must be a scikit-learn estimator with fit and predict; got "
            f"{shown(estimator)}, {lacks}."
        )


def _check_cv(cv: Any) -> Any:
    if cv is None:
        return DailyTimeSeriesSplit()
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        n_splits = check_value("cv", cv, "int", at_least=2, at_most=MAX_SPLITS)
        return DailyTimeSeriesSplit(n_splits)
    if not isinstance(cv, type) and hasattr(cv, "split") and hasattr(cv, "get_n_splits"):
        return cv
    try:
        if isinstance(cv, str | bytes | Mapping):
            raise TypeError
        folds = list(cv)
    except TypeError:
        raise TypeError(
            f"cv must be an int, a cross-validator such as DailyTimeSeriesSplit(), or an iterable "
            f"of (train, test); got {shown(cv)}."
        ) from None
    # scikit-learn takes folds apart where no error could name them.
    return check_cv([pair_of(fold, number) for number, fold in enumerate(folds)])


def _check_taken(estimator: Any, y: Any, params: dict[str, Any]) -> None:
    """Raise if ``fit`` needs labels, or takes no parameter of a name.

    Pipelines and wrappers check the names of what they pass on.
    """
    name, taken = f"{type(estimator).__name__}.fit", signature(estimator.fit).parameters
    if y is None and "y" in taken and taken["y"].default is Parameter.empty:
        raise TypeError(f"y must be the labels, which {name} needs; got None.")
    unknown = [each for each in params if each not in taken]
    if unknown and not any(each.kind is Parameter.VAR_KEYWORD for each in taken.values()):
        raise TypeError(
            f"params must be parameters of fit; {name} takes {', '.join(taken)}, and not "
            f"{shown(unknown[0])}."
        )


def _route(
    estimator: Any, cv: Any, X: Any, y: Any, rows: KnownRows
) -> tuple[dict[str, Any], FoldData]:
    """Give the parameters of ``split``, and what fits and predictions get."""
    if not get_config()["enable_metadata_routing"]:
        _check_taken(estimator, y, rows.params)
        groups = {} if rows.groups is None else {"groups": rows.groups}
        return groups, FoldData(X, y, rows.params, {}, rows.for_predict)
    methods = MethodMapping().add(caller="fit", callee="fit").add(caller="fit", callee="predict")
    router = MetadataRouter(owner="cross_val_signal")
    router.add(splitter=cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
    router.add(estimator=estimator, method_mapping=methods)
    try:
        routed = process_routing(router, "fit", **rows.params)
    except UnsetMetadataPassedError as error:
        # The user called cross_val_signal, as scikit-learn says for its own functions.
        message = str(error).replace("cross_val_signal.fit", "cross_val_signal")
        raise UnsetMetadataPassedError(
            message=message,
            unrequested_params=error.unrequested_params,
            routed_params=error.routed_params,
        ) from None
    return routed.splitter.split, FoldData(X, y, routed.estimator.fit, routed.estimator.predict, {})
