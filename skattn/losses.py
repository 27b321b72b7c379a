"""Losses of a cross-section: how well predictions rank or match the stocks of each day.

Each takes the labelled rows of some whole days, as every loss of one's own may:
``loss(predicted, label, *, day, weight)``. Parts of them may be added up, such as
``0.5 * mse_loss(predicted, label) + 0.5 * ic(predicted, label, day=day, weight=weight)``.

A day of which all labels are equal, or that has one stock, has nothing to rank and is left out. A
day of which all predictions are equal counts as a correlation of 0, and gives no gradient. Where no
day is left, the loss is 0.

A day counts by the mean weight of its stocks: days count equally where there are no weights.

Of several labels a row, such as several horizons, a loss gets one column at a time, on the rows
that have its label. Labels of different columns are never compared.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["ccc", "ic", "listnet"]


def ic(
    predicted: torch.Tensor,
    label: torch.Tensor,
    *,
    day: torch.Tensor,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Mean over days of 1 minus Pearson's correlation within the day.

    With the weights w of a day's stocks, :math:`\rho = \mathrm{cov}_w(p, y) / (\sigma_w(p)
    \sigma_w(y))`. The loss depends neither on the scale nor on the level of the day's predictions.

    Parameters
    ----------
    predicted, label : tensor of shape (B,)
        Predictions and labels, in any unit.
    day : tensor of int, shape (B,)
        Number of the day of each row, in any order.
    weight : tensor of shape (B,), default=None
        Weight of each row, above 0. None: all weigh the same.

    Returns
    -------
    loss : tensor, scalar
        Between 0 and 2 where there are no weights.

    Examples
    --------
    >>> import torch
    >>> from skattn.losses import ic
    >>> y = torch.tensor([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    >>> p = torch.tensor([5.0, 6.0, 7.0, 3.0, 2.0, 1.0])
    >>> ic(p, y, day=torch.tensor([0, 0, 0, 1, 1, 1]))
    tensor(1.)
    """
    days = _lay_out(predicted, label, day, weight)
    p, y = days.moments(days.predicted), days.moments(days.label)
    covariance = days.mean(p.centred * y.centred)
    varies = _spread(days.predicted, days.there) > 0
    size = torch.where(varies & days.counts, p.variance * y.variance, 1.0).sqrt()
    rho = torch.where(varies, covariance / size, 0.0)
    return days.average(1 - rho, predicted)


def ccc(
    predicted: torch.Tensor,
    label: torch.Tensor,
    *,
    day: torch.Tensor,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Mean over days of 1 minus Lin's concordance within the day.

    :math:`\rho_c = 2 \mathrm{cov}_w(p, y) / (\sigma^2_w(p) + \sigma^2_w(y) + (\bar p - \bar
    y)^2)`: beside the order of the stocks, the scale and the level of predictions have to be those
    of the labels. Train it on labels that are scaled within the day.

    Parameters
    ----------
    predicted, label, day, weight
        As for :func:`ic`.

    Returns
    -------
    loss : tensor, scalar
        Between 0 and 2 where there are no weights.

    References
    ----------
    L. Lin (1989), "A Concordance Correlation Coefficient to Evaluate Reproducibility", Biometrics.

    Examples
    --------
    >>> import torch
    >>> from skattn.losses import ccc
    >>> y, day = torch.tensor([-1.0, 0.0, 1.0]), torch.zeros(3, dtype=torch.long)
    >>> ccc(y, y, day=day), ccc(2 * y, y, day=day).round(decimals=2)
    (tensor(0.), tensor(0.2000))
    """
    days = _lay_out(predicted, label, day, weight)
    p, y = days.moments(days.predicted), days.moments(days.label)
    covariance = days.mean(p.centred * y.centred)
    size = p.variance + y.variance + (p.mean - y.mean) ** 2
    concordance = 2 * covariance / torch.where(days.counts, size, 1.0)
    return days.average(1 - concordance, predicted)


def listnet(
    predicted: torch.Tensor,
    label: torch.Tensor,
    *,
    day: torch.Tensor,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Mean over days of the cross-entropy of ListNet: who is first among the day's stocks.

    The labels of a day are standardised to z, and give each stock the chance :math:`w e^z / \sum w
    e^z` of being first; predictions give it :math:`e^p / \sum w e^p`, where the day's weights w are
    1 on average. The loss is the cross-entropy of the second from the first. It attends to the top
    of the day more than :func:`ic` does, and depends on the scale of predictions, not on their
    level. Stocks that move much are first more often, and last: this loss prefers them, and its
    rank IC may be below zero where they fall behind on average.

    Parameters
    ----------
    predicted, label, day, weight
        As for :func:`ic`.

    Returns
    -------
    loss : tensor, scalar

    References
    ----------
    Cao et al. (2007), "Learning to Rank: From Pairwise Approach to Listwise Approach", ICML: top
    one probabilities. The labels there are grades; here they are standardised within the day.

    Examples
    --------
    >>> import torch
    >>> from skattn.losses import listnet
    >>> y, day = torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3, dtype=torch.long)
    >>> bool(listnet(y, y, day=day) < listnet(-y, y, day=day))
    True
    """
    days = _lay_out(predicted, label, day, weight)
    y = days.moments(days.label)
    z = y.centred / torch.where(days.counts, y.variance, 1.0).sqrt()[:, None]
    weight = days.weight / days.mean_weight[:, None]
    log_weight = torch.where(days.there, weight, 1.0).log()
    absent = torch.finfo(predicted.dtype).min
    targets = torch.where(days.there, z + log_weight, absent).softmax(dim=1)
    scores = torch.where(days.there, days.predicted, 0.0)
    total = torch.where(days.there, scores + log_weight, absent).logsumexp(dim=1)
    cross_entropy = total - (targets * scores).sum(dim=1)
    return days.average(cross_entropy, predicted)


class _Moments(NamedTuple):
    mean: torch.Tensor  # (D,)
    centred: torch.Tensor  # (D, S), 0 where there is no stock
    variance: torch.Tensor  # (D,)


class _Days(NamedTuple):
    """Rows laid out by day, (D, S); places without a stock hold 0."""

    predicted: torch.Tensor
    label: torch.Tensor
    weight: torch.Tensor
    there: torch.Tensor
    counts: torch.Tensor  # (D,) of bool: whether there is something to rank on the day

    @property
    def mean_weight(self) -> torch.Tensor:
        """Mean weight of each day's stocks."""
        return self.weight.sum(dim=1) / self.there.sum(dim=1)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Weighted mean of each day."""
        return (self.weight * values).sum(dim=1) / self.weight.sum(dim=1)

    def moments(self, values: torch.Tensor) -> _Moments:
        """Weighted mean and variance of each day."""
        mean = self.mean(values)
        centred = torch.where(self.there, values - mean[:, None], 0.0)
        return _Moments(mean, centred, self.mean(centred**2))

    def average(self, of_day: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
        """Average over the days that count, by the mean weight of their stocks."""
        if not bool(self.counts.any()):
            return 0.0 * predicted.sum()
        return (self.mean_weight * of_day)[self.counts].mean()


def _lay_out(
    predicted: torch.Tensor, label: torch.Tensor, day: torch.Tensor, weight: torch.Tensor | None
) -> _Days:
    order = torch.argsort(day, stable=True)
    sizes = torch.unique_consecutive(day[order], return_counts=True)[1]
    number = torch.arange(len(sizes), device=day.device).repeat_interleave(sizes)
    first = sizes.cumsum(0) - sizes
    place = torch.arange(len(day), device=day.device) - first[number]
    shape = len(sizes), int(sizes.max()) if len(sizes) else 0

    def laid(values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros(shape).index_put((number, place), values[order])

    there = laid(torch.ones_like(day, dtype=torch.bool))
    label = laid(label)
    counts = _spread(label, there) > 0
    weights = there.to(predicted.dtype) if weight is None else laid(weight)
    return _Days(laid(predicted), label, weights, there, counts)


def _spread(values: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Largest less smallest value of each day."""
    values = values.detach()
    highest = torch.where(there, values, -torch.inf).amax(dim=1)
    return highest - torch.where(there, values, torch.inf).amin(dim=1)
