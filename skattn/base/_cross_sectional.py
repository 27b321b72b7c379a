"""CrossSectionalRegressor: the base of models that look across the stocks of a day."""

from __future__ import annotations

from sklearn.utils import Tags

from skattn.base._regressor import SequenceRegressor
from skattn.parameters import parameter


class CrossSectionalRegressor(SequenceRegressor):
    """Base of the regressors whose module looks across the stocks of a day.

    The module has ``cross_sectional = True`` and gets whole days: ``forward(x, present)`` takes
    (D, S, T, F) to (D, S), see ``skattn/training/module.py``. Days come from ``days``, else from
    the index of X, else of y. Where they are unknown, each row is taken for a day of its own, with
    a warning, and ``batch_size`` counts rows. Rows without a label are context: the other stocks of
    their day see them.

    Examples
    --------
    >>> from torch import nn
    >>> from skattn.base import CrossSectionalRegressor
    >>> class BesideTheMarket(nn.Module):
    ...     cross_sectional = True
    ...
    ...     def __init__(self, n_features):
    ...         super().__init__()
    ...         self.out = nn.Linear(n_features, 1)
    ...
    ...     def forward(self, x, present):
    ...         own = self.out(x[:, :, -1])[:, :, 0] * present
    ...         return own - own.sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True)
    >>> class BesideTheMarketRegressor(CrossSectionalRegressor):
    ...     def build_module(self, n_steps, n_features):
    ...         return BesideTheMarket(n_features)
    >>> BesideTheMarketRegressor(days_per_batch=5)
    BesideTheMarketRegressor(days_per_batch=5)
    """

    batch: str = parameter(
        "days",
        one_of=("days",),
        doc="What a training step takes: whole days.",
    )
    days_per_batch: int = parameter(
        1,
        at_least=1,
        doc="""
            Days a training step. The loss is the mean over their labelled rows. ``batch_size``
            counts only where the days are unknown.""",
    )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # scikit-learn's checks know no days: a model that compares stocks finds none to compare.
        tags.regressor_tags.poor_score = True
        return tags
