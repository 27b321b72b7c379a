"""The schedule of the learning rate."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import LRScheduler


class FallingRate(LRScheduler):
    """Learning rate that falls to 0 along a half cosine until the last epoch.

    A search or a user may set ``max_epochs`` after the callback is made, so the schedule takes its
    length from the net that is trained.
    """

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Begin the schedule of this net."""
        self.T_max = net.max_epochs
        super().on_train_begin(net, **kwargs)
