"""Training on labels that are scaled within each day."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone, is_regressor
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    get_routing_for_object,
    process_routing,
)
from sklearn.utils.validation import (
    _check_method_params,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
)

from skattn._warn import warn_user
from skattn.metrics import rank_ic_score
from skattn.panel import align_y, days_of, instruments_of
from skattn.preprocessing._base import PanelTransformer
from skattn.preprocessing._cross_section import check_method, scale_by_day


class CrossSectionalTarget(CallbackSupportMixin, MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Train a regressor on the label scaled within each day.

    What the whole market does on a day is nothing that a comparison of stocks can foresee; scaled
    labels leave it out, and outliers with it. Only the labels of training are scaled: predictions
    come as the regressor makes them. ``score`` compares them with the label as it is, by the mean
    daily rank IC: predictions on the scale of a scaled label have no R².

    Parameters
    ----------
    regressor : scikit-learn regressor
        What is trained: a model of skattn, any other regressor, or a Pipeline or search of one.
        It is cloned.
    method : {"rank", "zscore", "robust"}, default="rank"
        How the label is scaled: see :class:`CrossSectionalScaler`.

    Attributes
    ----------
    regressor_ : scikit-learn regressor
        The trained clone.
    n_features_in_ : int
        As the regressor has it.
    feature_names_in_ : ndarray of str
        As the regressor has it, where X had names.

    See Also
    --------
    CrossSectionalScaler : The same for features.
    sklearn.compose.TransformedTargetRegressor : For transformations that can be undone.

    Notes
    -----
    *Days* come from ``days``, else from the index of y, else of X; those of ``y_val`` from its
    index, else from that of ``X_val``. Where they are not known, the label is taken as one
    cross-section, and a warning says so.

    *Unlabelled rows.* A NaN label stays NaN and counts for nothing within its day. Regressors of
    skattn get all the rows. Other regressors do not take NaN labels: they are trained on the
    labelled rows alone. In a Pipeline as ``regressor`` so are the steps before the last; steps
    that look at other rows belong before this estimator:
    ``make_pipeline(Alpha360(layout="columns"), ..., CrossSectionalTarget(Ridge()))``.

    *Reach.* The scaled label has the ``attrs`` of y, so that early stopping purges what it must.

    *Metadata.* Without scikit-learn's metadata routing, what ``fit`` and ``predict`` get beside X
    and y goes to the regressor; ``days`` only where it, or the last step of a Pipeline, has such a
    parameter. With it, it goes where it is requested.

    References
    ----------
    qlib, ``qlib/data/dataset/processor.py``, ``CSRankNorm`` and ``CSZScoreNorm``, which its
    workflows apply to the label.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn.datasets import make_market
    >>> from skattn.preprocessing import Alpha360, CrossSectionalTarget, RobustZScore
    >>> market = make_market(n_stocks=20, n_days=100, random_state=0)
    >>> model = make_pipeline(
    ...     Alpha360(["close"], length=5, layout="columns"),
    ...     RobustZScore(),
    ...     CrossSectionalTarget(Ridge(), method="rank"),
    ... )
    >>> model.fit(market.ohlcv, market.label).predict(market.ohlcv).shape == market.label.shape
    True
    """

    def __init__(self, regressor: Any, method: str = "rank") -> None:
        self.regressor = regressor
        self.method = method

    @with_callbacks
    def fit(self, X: Any, y: Any, *, days: Any = None, **fit_params: Any) -> CrossSectionalTarget:
        """Train a clone of the regressor on the scaled label.

        Parameters
        ----------
        X : array-like of n_samples rows
            What the regressor takes.
        y : array-like of shape (n_samples,)
            Labels; NaN means unlabelled.
        days : array-like of dates, shape (n_samples,), default=None
            Trading day of each row. None: from the index of y, else of X.
        **fit_params : object
            For the regressor's ``fit``, such as instruments, X_val and y_val, or those of a step of
            a Pipeline (``gruregressor__y_val``). What is named y_val is scaled too.

        Returns
        -------
        self : CrossSectionalTarget

        Raises
        ------
        TypeError
            ``regressor`` is not one, ``days`` are not dates, or y are dates.
        ValueError
            The method is unknown; y has infinity or no label; X and y have different rows.
        """
        check_method(self.method)
        if (
            isinstance(self.regressor, type)
            or not hasattr(self.regressor, "__sklearn_tags__")
            or not is_regressor(self.regressor)
        ):
            raise TypeError(f"regressor must be a scikit-learn regressor; got {self.regressor!r}.")
        if y is None:
            raise ValueError(
                "CrossSectionalTarget requires y to be passed, but the target y is None."
            )
        label = self._scale(X, y, days)
        for name, y_val in fit_params.items():
            if _is_named(name, "y_val") and y_val is not None:
                X_val = fit_params.get(name.removesuffix("y_val") + "X_val")
                fit_params[name] = self._scale(X_val, y_val, None, suffix="_val")
        regressor = clone(self.regressor)
        params = self._route("fit", fit_params, days)
        trained_X = X
        if not _takes_unlabelled(regressor) and np.isnan(label).any():
            _warn_of_hidden_rows(regressor)
            rows = np.flatnonzero(~np.isnan(label))
            trained_X, label = _safe_indexing(X, rows), _safe_indexing(label, rows)
            # Validation rows may be as many as those of X, and are not those of X.
            by_row = {k: v for k, v in params.items() if not _is_named(k, "X_val", "y_val")}
            params = {**params, **_check_method_params(X, by_row, rows)}
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        task = context.subcontext(task_name="fit-regressor")
        with task.propagate_callback_context(regressor):
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            regressor.fit(trained_X, label, **params)
            task.call_on_fit_task_end(estimator=self, X=X, y=y)
        self.regressor_ = regressor
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(regressor, name):
                setattr(self, name, getattr(regressor, name))
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def predict(self, X: Any, **predict_params: Any) -> np.ndarray:
        """Predict as the regressor does.

        Parameters
        ----------
        X : array-like of n_samples rows
            What the regressor takes.
        **predict_params : object
            For the regressor's ``predict``.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            On the scale of the scaled label; its order within a day is what counts.
        """
        check_is_fitted(self)
        return self.regressor_.predict(X, **self._route("predict", predict_params))

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, days: Any = None) -> float:
        """Mean daily rank information coefficient of the predictions, not R².

        It compares orders within the day, and so needs no common scale: predictions are on that
        of the scaled label, y is on its own.

        Parameters
        ----------
        X : array-like of n_samples rows
            What the regressor takes.
        y : array-like of shape (n_samples,)
            Labels as they are; NaN rows are left out.
        sample_weight : None
            As scikit-learn's regressors have it. A rank IC has no weights.
        days : array-like of dates, shape (n_samples,), default=None
            As for ``fit``; also for the regressor's ``predict`` where it takes them. Unknown days:
            one cross-section.

        Returns
        -------
        rank_ic : float
            In [-1, 1]; see :func:`skattn.metrics.rank_ic_score`.

        Raises
        ------
        ValueError
            ``sample_weight`` is given, or X and y have different rows.
        """
        if sample_weight is not None:
            raise ValueError("sample_weight must be None: a rank IC has no weights.")
        check_consistent_length(X, y, days)
        align_y(X, y)
        known = days_of(days, y, X, required=False)
        instruments = instruments_of(y) if instruments_of(X) is None else None
        predicted = self.predict(X, **self._predict_params(days=known, instruments=instruments))
        if known is None:
            known = np.zeros(len(y), dtype="datetime64[D]")
        return rank_ic_score(column_or_1d(y), predicted, days=known)

    def get_metadata_routing(self) -> MetadataRouter:
        """Tell what goes to the regressor, and that ``days`` may be requested here.

        Returns
        -------
        routing : MetadataRouter
        """
        methods = MethodMapping().add(caller="fit", callee="fit")
        methods.add(caller="predict", callee="predict")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(regressor=self.regressor, method_mapping=methods)

    def _scale(self, X: Any, y: Any, days: Any, suffix: str = "") -> np.ndarray | pd.Series:
        """Scale labels; a Series stays one, with its index, name and attrs."""
        name = f"y{suffix}"
        check_consistent_length(X, y, days)
        align_y(X, y, names=(f"X{suffix}", name))
        labels = column_or_1d(y, warn=True)
        if labels.dtype.kind in "mM":
            # They would be taken for numbers of nanoseconds.
            raise TypeError(f"{name} must hold numbers (NaN where unlabelled); got {labels.dtype}.")
        labels = check_array(
            labels,
            dtype=np.float64,
            ensure_2d=False,
            ensure_all_finite="allow-nan",
            input_name=name,
        )
        known = days_of(days, y, X, what=name, required=False)
        if known is None:
            warn_user(
                f"The trading days of {name} are not known: all its labels are scaled as if they "
                f"were of one day. Give {name} an index with a level 'datetime'"
                f"{'' if suffix else ', or pass days='}."
            )
            day = np.zeros(len(labels), dtype=int)
        else:
            day = pd.factorize(known)[0]
        scaled = scale_by_day(labels, day, self.method)
        if np.isnan(scaled).all():
            raise ValueError(
                f"{name} has no label to train on: {np.isnan(labels).sum()} are NaN "
                f"(n_samples={len(labels)}), and no day of the others has labels that differ."
            )
        if not isinstance(y, (pd.Series, pd.DataFrame)):
            return scaled
        label = pd.Series(scaled, y.index, name=getattr(y, "name", None))
        label.attrs.update(y.attrs)
        return label

    def _route(self, method: str, params: dict[str, Any], days: Any = None) -> dict[str, Any]:
        """Find what the regressor's method gets."""
        if get_config()["enable_metadata_routing"]:
            params = params if days is None else {**params, "days": days}
            return process_routing(self, method, **params)["regressor"][method]
        prefix, last = _last_step(self.regressor)
        if days is not None and has_fit_parameter(last, "days"):
            params = {f"{prefix}days": days, **params}
        return params

    def _predict_params(self, **known: Any) -> dict[str, Any]:
        """Choose what the regressor's ``predict`` takes of what is known."""
        if get_config()["enable_metadata_routing"]:
            taken = get_routing_for_object(self).consumes("predict", known)
        else:
            taken = signature(_last_step(self.regressor_)[1].predict).parameters
        return {k: v for k, v in known.items() if k in taken and v is not None}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.regressor)
        tags.input_tags = inner.input_tags
        if inner.regressor_tags is not None:
            tags.regressor_tags = inner.regressor_tags
        return tags


def _takes_unlabelled(regressor: Any) -> bool:
    """Whether a regressor, or the last one of a Pipeline or search, takes NaN labels."""
    if isinstance(regressor, Pipeline):
        return _takes_unlabelled(regressor[-1])
    # Not all that has an estimator: ensembles check the labels themselves.
    if isinstance(regressor, BaseSearchCV):
        return _takes_unlabelled(regressor.estimator)
    # skattn's regressors, known by their hook: to import their base would be to import torch.
    return isinstance(regressor, CrossSectionalTarget) or hasattr(regressor, "build_module")


def _last_step(regressor: Any) -> tuple[str, Any]:
    """Give a regressor, or the last one of a Pipeline, with the prefix of its parameters."""
    prefix = ""
    while isinstance(regressor, Pipeline):
        name, regressor = regressor.steps[-1]
        prefix += f"{name}__"
    return prefix, regressor


def _is_named(parameter: str, *names: str) -> bool:
    """Whether a parameter, or that of a Pipeline's step, has one of the names."""
    return parameter.rpartition("__")[2] in names


def _warn_of_hidden_rows(regressor: Any) -> None:
    """Say that steps which may look at other rows do not see the unlabelled ones."""
    steps = [step for _, step in regressor.steps[:-1]] if isinstance(regressor, Pipeline) else []
    looking = [type(step).__name__ for step in steps if isinstance(step, PanelTransformer)]
    if looking:
        warn_user(
            f"{type(regressor[-1]).__name__} takes no NaN labels, and so {', '.join(looking)} "
            f"before it will not see the unlabelled rows either. Put CrossSectionalTarget at the "
            f"end of the pipeline: make_pipeline({looking[0]}(...), ..., "
            f"CrossSectionalTarget({type(regressor[-1]).__name__}(...)))."
        )
