"""A planted market: a model that learns at all finds what the windows tell."""

from __future__ import annotations

import numpy as np

from skattn.base import SequenceRegressor
from skattn.metrics import daily_ic
from skattn.testing._data import make_panel, small

# Most models need the first number of epochs, and none the last one.
EPOCHS = (10, 40)


def check_beats_zero_on_a_planted_market(estimator: SequenceRegressor) -> None:
    """Fit on days whose labels the last steps tell, and predict later days."""
    panel = make_panel(100)
    # Three days between lie within the reach of the labels.
    days = panel.days.unique()
    train, test = panel.rows(panel.days < days[70]), panel.rows(panel.days >= days[73])
    found = np.empty(0)
    for max_epochs in EPOCHS:
        settings = {"max_epochs": max_epochs, "early_stopping": False}
        model = small(estimator, **settings).fit(*train)
        found = daily_ic(test.y, model.predict(test.X)).dropna().to_numpy()
        if len(found) > 2 and found.mean() > 3 * found.std(ddof=1) / np.sqrt(len(found)):
            return
    mean = float(found.mean()) if len(found) else np.nan
    name = type(estimator).__name__
    raise AssertionError(
        f"{name} does not find a signal that is planted: the mean daily information coefficient on "
        f"later days is {mean:.3f}, where the mean of three steps of one field tells the label. "
        f"Look whether each parameter gets a gradient (forward without detach, no_grad and "
        f"rounding), whether the result of forward depends on x, and whether row b of the result "
        f"belongs to row b of x. Where the model needs another lr or more layers than the checks "
        f"give it, name them in {name}.parameters_for_checks."
    )


SIGNAL = (check_beats_zero_on_a_planted_market,)
