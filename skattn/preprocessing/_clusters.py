"""Groups of stocks that moved together: concepts where no sectors are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.base import BaseEstimator

from skattn.labels import make_label
from skattn.panel.internal import level_codes
from skattn.parameters import DeclaredParameters, parameter
from skattn.preprocessing._cross_section import scale_within_days
from skattn.utils import warn_user


class CorrelationClusters(DeclaredParameters, BaseEstimator):
    """Group stocks whose daily returns moved together, as concepts for HIST.

    The clusters stand in for sectors where no file of sectors is at hand. They are learnt from the
    prices passed to ``fit`` alone: fitted on the training rows, they know nothing of later days.
    :class:`skattn.compose.LearntConcepts` fits them anew on the training rows of every fold.

    Parameters
    ----------
    n_clusters : int, default=20
        Number of clusters, at least 2. A market of fewer than ``2 * n_clusters`` stocks gets half
        as many clusters as stocks, with a warning.
    min_days : int, default=60
        Number of returns that a stock must have to belong to a cluster. Two stocks with fewer days
        in common count as uncorrelated.

    Attributes
    ----------
    concepts_ : Series of shape (n_stocks,)
        Cluster of each instrument, "cluster 00" being the largest. ``HISTRegressor(concepts=...)``
        takes it as it is. Stocks with fewer than ``min_days`` returns are left out.

    See Also
    --------
    skattn.compose.LearntConcepts : Clusters and a regressor, fitted together.
    skattn.HISTRegressor : The model that takes concepts.

    Notes
    -----
    *Returns.* A return spans two neighbouring days of the table. A stock that misses one of them
    has no return. Returns are ranked within their day, which removes the market's move, and keeps
    splits and dividends in unadjusted prices from counting more than any other large move.

    *Clusters.* Ward's method on the distance ``sqrt(2 * (1 - correlation))`` of the ranks, which is
    deterministic and gives clusters of similar sizes.

    *Memory.* The correlations of n stocks take ``8 * n**2`` bytes a few times over.

    References
    ----------
    J. H. Ward, "Hierarchical Grouping to Optimize an Objective Function", Journal of the American
    Statistical Association 58 (1963).

    Examples
    --------
    >>> from skattn import HISTRegressor
    >>> from skattn.datasets import make_market
    >>> from skattn.preprocessing import CorrelationClusters
    >>> ohlcv = make_market(n_stocks=30, n_days=120, late_listings=0, random_state=0).ohlcv
    >>> clusters = CorrelationClusters(n_clusters=3).fit(ohlcv)
    >>> clusters.concepts_.value_counts().to_dict()
    {'cluster 0': 13, 'cluster 1': 10, 'cluster 2': 7}
    >>> model = HISTRegressor(concepts=clusters.concepts_)
    """

    n_clusters: int = parameter(20, at_least=2, positional=True)
    min_days: int = parameter(60, at_least=2)

    def fit(self, ohlcv: pd.DataFrame | pd.Series, y: Any = None) -> CorrelationClusters:
        """Learn the clusters.

        Parameters
        ----------
        ohlcv : DataFrame or Series with a (datetime, instrument) index
            A table of daily prices with a column close, or the closes themselves. Rows may come in
            any order. NaN and zero are missing.
        y : None
            Ignored.

        Returns
        -------
        self : CorrelationClusters

        Raises
        ------
        TypeError
            ``ohlcv`` is not a table.
        ValueError
            A parameter is out of range, the index is not a unique (datetime, instrument) index of
            daily rows, the column close is missing, a close is not a number, infinite or negative,
            or fewer than two stocks have ``min_days`` returns.
        """
        params = self._checked_parameters()
        n_clusters, min_days = params["n_clusters"], params["min_days"]
        ranks = _ranked_returns(ohlcv)
        known = ranks.loc[:, ranks.count() >= min_days]
        n_stocks = known.shape[1]
        if n_stocks < 2:
            raise ValueError(
                f"ohlcv must have at least two stocks with min_days={min_days} daily returns, so "
                f"that correlations tell something; got {n_stocks} of {ranks.shape[1]} stocks on "
                f"{len(ranks)} days. Pass more days, or "
                f"CorrelationClusters(min_days=...) with a smaller number."
            )
        if n_stocks < 2 * n_clusters:
            warn_user(
                f"{n_stocks} of {ranks.shape[1]} stocks have min_days={min_days} daily returns: "
                f"CorrelationClusters takes n_clusters={n_stocks // 2} in place of "
                f"{n_clusters}, so that a cluster has two stocks on average."
            )
            n_clusters = n_stocks // 2
        # A stock that never moved, and stocks of other times, have no correlation.
        correlation = known.corr(min_periods=min_days).fillna(0.0).to_numpy()
        distance = np.sqrt(np.maximum(2 * (1 - correlation), 0))
        tree = linkage(squareform(distance, checks=False), "ward")
        numbers = _by_size(fcluster(tree, n_clusters, "maxclust"))
        width = len(str(numbers.max()))
        labels = [f"cluster {number:0{width}d}" for number in numbers]
        index = known.columns.rename("instrument")
        self.concepts_ = pd.Series(labels, index, dtype=object, name="cluster")
        return self


def _ranked_returns(ohlcv: Any) -> pd.DataFrame:
    """Give the rank of each stock's return within its day (days x stocks), less the day's mean."""
    returns = make_label(ohlcv, horizon=1, delay=0)
    day, days = level_codes(returns.index, "datetime")
    stock, stocks = level_codes(returns.index, "instrument")
    grid = np.full((len(days), len(stocks)), np.nan)
    grid[day, stock] = scale_within_days(returns.to_numpy(), day, "rank")
    ranks = pd.DataFrame(grid, columns=stocks)
    return ranks.sub(ranks.mean(axis="columns"), axis="index")


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Number clusters from 0, the largest first, of equal sizes that of the first stock."""
    _, first, inverse, size = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    return np.lexsort((first, -size)).argsort()[inverse]
