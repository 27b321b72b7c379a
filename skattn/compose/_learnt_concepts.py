"""Train a model on concepts that are learnt from the prices of its own training rows."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
from sklearn.base import clone
from sklearn.callback import with_callbacks
from sklearn.utils.validation import check_is_fitted

from skattn.compose._routing import is_named, route
from skattn.compose._wrapper import RegressorWrapper
from skattn.parameters import parameter, shown
from skattn.preprocessing import CorrelationClusters


class LearntConcepts(RegressorWrapper):
    """Learn concepts from the training rows, and train a regressor that takes concepts with them.

    Concepts that were learnt before a cross-validation know the days that it tests. This estimator
    learns them in every ``fit`` anew, from the rows of that fit alone, and hands them to the
    regressor's parameter ``concepts``, however deep in Pipelines it is.

    Parameters
    ----------
    regressor : scikit-learn regressor
        Regressor to train, which begins with prices: usually a Pipeline from Alpha360 to
        :class:`skattn.HISTRegressor`. The regressor is cloned. Its parameters named ``concepts``
        that are None are set; concepts that were given stay.
    clusters : estimator, default=None
        Estimator whose ``fit`` learns ``concepts_`` from prices. The estimator is cloned. None:
        :class:`skattn.preprocessing.CorrelationClusters` with its defaults.

    Attributes
    ----------
    clusters_ : estimator
        The fitted clone of ``clusters``; ``clusters_.concepts_`` are the concepts.
    regressor_ : scikit-learn regressor
        The trained clone.
    n_features_in_ : int
        Number of features of the trained regressor.
    feature_names_in_ : ndarray of str
        Feature names of the trained regressor, if X had names.

    See Also
    --------
    CrossSectionalTarget : Training on labels scaled within each day.

    Notes
    -----
    *Rows.* All rows of X teach the concepts, also unlabelled ones and those that early stopping
    holds out. ``X_val`` does not. A stock that the fit has not seen, or has seen on too few days,
    has no concept, which the regressor reports.

    *Warm start.* With ``warm_start=True`` in the regressor (or in the last step of a Pipeline), a
    further ``fit`` goes on from the last one, with new concepts.

    *Metadata.* All parameters of ``fit``, ``predict`` and ``score`` other than X and y are passed
    to the regressor; with scikit-learn's metadata routing, where they are requested.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn import HISTRegressor
    >>> from skattn.compose import CrossSectionalTarget, LearntConcepts
    >>> from skattn.datasets import make_market
    >>> from skattn.preprocessing import Alpha360, CorrelationClusters, RobustZScore
    >>> market = make_market(n_stocks=20, n_days=100, late_listings=0, random_state=0)
    >>> hist = HISTRegressor(hidden_size=8, max_epochs=1, random_state=0)
    >>> pipeline = make_pipeline(Alpha360(length=5), RobustZScore(), CrossSectionalTarget(hist))
    >>> model = LearntConcepts(pipeline, CorrelationClusters(n_clusters=4))
    >>> model.fit(market.ohlcv, market.label).predict(market.ohlcv).shape == market.label.shape
    True
    >>> model.clusters_.concepts_.nunique()
    4
    """

    clusters: Any = parameter(None, positional=True)
    _routed: ClassVar[tuple[str, ...]] = ("fit", "predict", "score")

    @with_callbacks
    def fit(self, X: pd.DataFrame, y: Any, **fit_params: Any) -> LearntConcepts:
        """Learn the concepts, and train a clone of the regressor with them.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index
            Prices: input of the regressor and of the clusters.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, as the regressor takes them.
        **fit_params : object
            Parameters of the regressor's ``fit``, or of a Pipeline step
            (``histregressor__sample_weight``).

        Returns
        -------
        self : LearntConcepts

        Raises
        ------
        TypeError
            X is not a table, ``regressor`` is not a regressor, or ``clusters`` learn no concepts.
        ValueError
            The regressor has no parameter ``concepts`` that is None, or the prices do not suffice;
            see :class:`skattn.preprocessing.CorrelationClusters`.
        """
        self._checked_parameters()
        regressor = self._regressor_to_train()
        params = regressor.get_params()
        given = {name: value for name, value in params.items() if is_named(name, "concepts")}
        names = [name for name, value in given.items() if value is None]
        if not names:
            lacks = f"whose {', '.join(given)} is given" if given else "without such a parameter"
            raise ValueError(
                f"regressor must have a parameter concepts that is None, as in "
                f"LearntConcepts(make_pipeline(Alpha360(), RobustZScore(), HISTRegressor())); got "
                f"{shown(self.regressor)}, {lacks}. Fit it without LearntConcepts."
            )
        if not isinstance(X, pd.DataFrame):
            raise TypeError(
                f"X must be a table of prices with a (datetime, instrument) index, from which "
                f"concepts are learnt; got {type(X).__name__}. Where X are windows, put "
                f"LearntConcepts around the whole Pipeline, the step that makes windows included."
            )
        fit_params = route(self, "fit", fit_params)
        clusters = self._fitted_clusters(X, y)
        regressor.set_params(**dict.fromkeys(names, clusters.concepts_))
        self._train(regressor, (X, y), (X, y), fit_params)
        self.clusters_ = clusters
        return self

    def score(self, X: pd.DataFrame, y: Any, **score_params: Any) -> float:
        """Return the regressor's own score of the predictions.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index
            Prices.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels.
        **score_params : object
            Parameters of the regressor's ``score``.

        Returns
        -------
        score : float
            The mean daily rank IC of a CrossSectionalTarget, R² of a model of skattn.
        """
        check_is_fitted(self)
        return self.regressor_.score(X, y, **route(self, "score", score_params))

    def _fitted_clusters(self, X: pd.DataFrame, y: Any) -> Any:
        clusters = CorrelationClusters() if self.clusters is None else self.clusters
        learns = hasattr(clusters, "fit") and hasattr(clusters, "get_params")
        if learns and not isinstance(clusters, type):
            clusters = clone(clusters).fit(X, y)
            if hasattr(clusters, "concepts_"):
                return clusters
        raise TypeError(
            f"clusters must be an estimator whose fit learns concepts_, such as "
            f"CorrelationClusters(), or None; got {shown(self.clusters)}."
        )
