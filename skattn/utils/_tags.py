"""Tag of regressors that take rows without a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.utils import RegressorTags, get_tags


@dataclass
class PanelRegressorTags(RegressorTags):
    """scikit-learn's regressor tags with the additional tag ``takes_unlabelled``.

    Pipelines and searches pass on the tags of their last step, so they carry the tag as well.

    Parameters
    ----------
    poor_score : bool, default=False
        As in scikit-learn.
    takes_unlabelled : bool, default=False
        Whether ``fit`` takes NaN labels. Rows with NaN labels give context and are not trained on.

    Examples
    --------
    >>> from skattn.utils import PanelRegressorTags
    >>> PanelRegressorTags(takes_unlabelled=True)
    PanelRegressorTags(poor_score=False, takes_unlabelled=True)
    """

    takes_unlabelled: bool = False


def takes_unlabelled(regressor: Any) -> bool:
    """Check whether a regressor, a Pipeline or a search declares that NaN labels are allowed.

    Parameters
    ----------
    regressor : estimator
        The estimator, fitted or not.

    Returns
    -------
    takes : bool
        True if ``fit`` takes NaN labels.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skattn.utils import takes_unlabelled
    >>> takes_unlabelled(Ridge())
    False
    """
    return getattr(get_tags(regressor).regressor_tags, "takes_unlabelled", False)
