"""Train a regressor on labels that are scaled within each day."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.callback import with_callbacks
from sklearn.utils import Tags

from skattn.compose._routing import is_named, known_predict_params, route
from skattn.compose._scaled_label import scale_label
from skattn.compose._unlabelled import drop_unlabelled, without_weightless
from skattn.compose._wrapper import RegressorWrapper
from skattn.metrics import rank_ic_score
from skattn.panel import align_y, days_of, instruments_of
from skattn.parameters import check_lengths, check_numbers, parameter
from skattn.preprocessing import METHODS
from skattn.utils import takes_unlabelled


class CrossSectionalTarget(RegressorWrapper):
    """Train a regressor on the label scaled within each day.

    A model that compares stocks cannot predict the move of the whole market on a day. Scaling the
    labels within each day removes the market's move and limits outliers. Only the training labels
    are scaled; predictions are returned as the regressor makes them. ``score`` compares predictions
    with the unscaled label by the mean daily rank IC. R² would not be meaningful, because
    predictions have the scale of the scaled label.

    Parameters
    ----------
    regressor : scikit-learn regressor
        Regressor to train: a model of skattn, any other regressor, or a Pipeline or search around
        a regressor. The regressor is cloned.
    method : {"rank", "zscore", "robust"} or None, default="rank"
        Scaling method of the label; see :class:`CrossSectionalScaler`. None leaves the label as
        it is; rows without a label are then all that the regressor is spared.

    Attributes
    ----------
    regressor_ : scikit-learn regressor
        The trained clone.
    n_features_in_ : int
        Number of features of the trained regressor.
    feature_names_in_ : ndarray of str
        Feature names of the trained regressor, if X had names.

    See Also
    --------
    CrossSectionalScaler : Scaling of features within each day.
    sklearn.compose.TransformedTargetRegressor : Label transformations that can be inverted.

    Notes
    -----
    *Days.* The days come from ``days``, else from the index of X, else from the index of y. The
    days of ``y_val`` come from the index of ``X_val``, else from the index of ``y_val``. If the
    days are unknown, the whole label is scaled as one cross-section, with a warning.

    *Several labels.* Each column of y is scaled on its own, and ``score`` is the mean over columns.

    *Unlabelled rows.* A NaN label stays NaN and is ignored within its day. Regressors whose tags
    declare ``takes_unlabelled``, such as the regressors of skattn, get all rows. Other regressors
    are trained, and validated, on the labelled rows only, those with a label in each column. If
    ``regressor`` is a Pipeline, this also holds for its steps before the last step. Put steps that
    look at other rows before this estimator:
    ``make_pipeline(Alpha360(layout="columns"), ..., CrossSectionalTarget(Ridge()))``.

    *Warm start.* ``fit`` trains a new clone, unless the regressor (or the last step of a Pipeline)
    has ``warm_start=True``: a further ``fit`` then goes on from the last one.

    *Reach.* The scaled label keeps the ``attrs`` of y, so early stopping purges the right number of
    days.

    *Metadata.* Without scikit-learn's metadata routing, all parameters of ``fit`` and ``predict``
    other than X and y are passed to the regressor. ``days`` is passed only if the regressor, or the
    last step of a Pipeline, has a parameter ``days``. With metadata routing, parameters are passed
    where they are requested.

    References
    ----------
    qlib, ``qlib/data/dataset/processor.py``, ``CSRankNorm`` and ``CSZScoreNorm``. The workflows of
    qlib apply these processors to the label.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn.compose import CrossSectionalTarget
    >>> from skattn.datasets import make_market
    >>> from skattn.preprocessing import Alpha360, RobustZScore
    >>> market = make_market(n_stocks=20, n_days=100, random_state=0)
    >>> model = make_pipeline(
    ...     Alpha360(["close"], length=5, layout="columns"),
    ...     RobustZScore(),
    ...     CrossSectionalTarget(Ridge(), method="rank"),
    ... )
    >>> model.fit(market.ohlcv, market.label).predict(market.ohlcv).shape == market.label.shape
    True
    """

    method: str | None = parameter("rank", one_of=METHODS, positional=True)

    @with_callbacks
    def fit(self, X: Any, y: Any, *, days: Any = None, **fit_params: Any) -> CrossSectionalTarget:
        """Train a clone of the regressor on the scaled label.

        Parameters
        ----------
        X : array-like of n_samples rows
            Input of the regressor.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels; NaN means unlabelled.
        days : array-like of dates, shape (n_samples,), default=None
            Trading day of each row. None reads the days from the index of X, else of y.
        **fit_params : object
            Parameters of the regressor's ``fit``, such as sample_weight, instruments, X_val and
            y_val, or parameters of a Pipeline step (``gruregressor__y_val``). Parameters named
            y_val are also scaled. Rows of weight 0 count as unlabelled.

        Returns
        -------
        self : CrossSectionalTarget

        Raises
        ------
        TypeError
            ``regressor`` is not a regressor, ``days`` are not dates, or y holds dates.
        ValueError
            The method is unknown, y has infinite values or no labels, or X and y have different
            rows.
        """
        method = self._checked_parameters()["method"]
        regressor = self._regressor_to_train()
        if y is None:
            raise ValueError(
                "CrossSectionalTarget requires y to be passed, but the target y is None."
            )
        takes_all = takes_unlabelled(regressor)
        label = scale_label(X, without_weightless(y, fit_params), days, method)
        for name, y_val in fit_params.items():
            if is_named(name, "y_val") and y_val is not None:
                X_name = name.removesuffix("y_val") + "X_val"
                X_val = fit_params.get(X_name)
                y_val = scale_label(X_val, y_val, None, method, suffix="_val")
                if X_val is not None and not takes_all:
                    fit_params[X_name], y_val, _ = drop_unlabelled(regressor, X_val, y_val, {})
                fit_params[name] = y_val
        trained_X = X
        if not takes_all:
            # Before the routing, which may give X_val and y_val other names.
            given = {"days": days, **fit_params}
            trained_X, label, fit_params = drop_unlabelled(regressor, X, label, given)
            days = fit_params.pop("days")
        params = route(self, "fit", fit_params, days)
        self._train(regressor, (trained_X, label), (X, y), params)
        return self

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, days: Any = None) -> float:
        """Return the mean daily rank information coefficient of the predictions, not R².

        The rank information coefficient compares the order of stocks within each day, so
        predictions and y may have different scales. Predictions have the scale of the scaled label.

        Parameters
        ----------
        X : array-like of n_samples rows
            Input of the regressor.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Unscaled labels; NaN is skipped.
        sample_weight : None
            Present for compatibility with scikit-learn's regressors. A rank IC has no weights.
        days : array-like of dates, shape (n_samples,), default=None
            Trading day of each row, as in ``fit``. The days are also passed to the regressor's
            ``predict`` if it has this parameter. If the days are unknown, all rows count as one
            cross-section.

        Returns
        -------
        rank_ic : float
            Rank IC in [-1, 1]; see :func:`skattn.metrics.rank_ic_score`.

        Raises
        ------
        ValueError
            ``sample_weight`` is given, or X and y have different rows.
        """
        if sample_weight is not None:
            raise ValueError("sample_weight must be None: a rank IC has no weights.")
        check_lengths({"X": X}, y=y, days=days)
        align_y(X, y)
        known = days_of(days, X, y, required=False)
        instruments = instruments_of(y) if instruments_of(X) is None else None
        known_params = known_predict_params(self, days=known, instruments=instruments)
        predicted = self.predict(X, **known_params)
        if known is None:
            known = np.zeros(len(y), dtype="datetime64[D]")
        return rank_ic_score(check_numbers("y", y, several=True), predicted, days=known)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Labels may be missing: fit drops rows that the regressor cannot take.
        tags.regressor_tags.takes_unlabelled = True
        return tags
