"""What notebooks show of a fitted regressor, beside scikit-learn's diagram."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import pandas as pd

from skattn.parameters import shown, summed_up
from skattn.training import best_epoch
from skattn.utils import evenly

WIDTH, HEIGHT, MARGIN = 240, 48, 4
MOST_POINTS = 120
# Losses that fall by more are drawn by their logarithm.
WIDE_RANGE = 20
# No table: notebooks colour the rows of tables in ways that do not fit scikit-learn's box.
STYLE = (
    "display:grid;grid-template-columns:max-content auto;gap:.2em 1em;margin:.5em;"
    "max-width:60em;text-align:left"
)


class SummaryHTML:
    """Mixin that shows a summary of the fit within scikit-learn's diagram of a regressor.

    scikit-learn asks each fitted estimator of a diagram for the table of its attributes, also
    within a Pipeline or a search. The summary stands above that table.
    """

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """Give scikit-learn's table of fitted attributes, below the summary."""
        attributes = super()._get_fitted_attr_html(doc_link)  # type: ignore[misc]
        # Diagrams of some fitted estimators show a regressor that they have not fitted itself.
        if hasattr(self, "history_"):
            draw = attributes._html_repr
            attributes._html_repr = lambda: summary_html(self) + draw()
        return attributes


def summary_html(model: Any) -> str:
    """Sum up a fitted regressor in HTML.

    Parameters
    ----------
    model : SequenceRegressor
        Fitted. What a fit of an older version did not keep is left out.

    Returns
    -------
    html : str
        A list of descriptions, with all texts escaped.
    """
    history = model.history_
    best = best_epoch(history, model.monitor)
    facts = {
        "parameters": _changed(model),
        "fitted on": _fitted_on(model),
        "training": _training(model, best),
    }
    rows = [f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in facts.items() if text]
    picture = sparkline(history, best)
    if picture:
        rows.append(f"<dt>loss</dt><dd>{picture}</dd>")
    return f'<dl class="skattn-summary" style="{STYLE}">{"".join(rows)}</dl>'


def sparkline(history: pd.DataFrame, best: int | None) -> str:
    """Draw the loss by epoch as a small SVG, in the colour of the text around it.

    Parameters
    ----------
    history : DataFrame
        Values by epoch.
    best : int or None
        Epoch to mark.

    Returns
    -------
    svg : str
        Empty where no loss is finite.
    """
    losses = history[[name for name in ("train_loss", "valid_loss") if name in history]]
    losses = losses.where(np.isfinite(losses)).dropna(axis=1, how="all")
    if losses.empty:
        return ""
    first, last = losses.index.min(), losses.index.max()
    words = " and ".join(
        f"{'validation' if name == 'valid_loss' else 'training'} loss from "
        f"{column.dropna().iloc[0]:.3g} to {column.dropna().iloc[-1]:.3g}"
        for name, column in losses.items()
    )
    epochs = f"epochs {first} to {last}" if last > first else f"epoch {first}"
    title = f"{words}, {epochs}" + (f", best epoch {best}" if best else "")
    low, high = float(losses.min(axis=None)), float(losses.max(axis=None))
    if low > 0 and high / low > WIDE_RANGE:
        losses, low, high = np.log(losses), float(np.log(low)), float(np.log(high))
    x = MARGIN + (losses.index - first) / max(last - first, 1) * (WIDTH - 2 * MARGIN)
    y = MARGIN + (high - losses) / ((high - low) or 1) * (HEIGHT - 2 * MARGIN)
    parts = [
        _line(x, y[name], "" if name == losses.columns[-1] else ' stroke-dasharray="3 2"')
        for name in losses
    ]
    marked = best if best in y.index else last
    at = y[losses.columns[-1]].get(marked)
    if not np.isnan(at):
        place = f'cx="{x[y.index.get_loc(marked)]:.1f}" cy="{at:.1f}"'
        parts.append(f'<circle {place} r="3" fill="currentColor" stroke="none"/>')
    return (
        f'<svg role="img" aria-label="{html.escape(title)}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" fill="none" stroke="currentColor" stroke-width="1.5">'
        f"<title>{html.escape(title)}</title>{''.join(parts)}</svg>"
    )


def _line(x: pd.Index, y: pd.Series, dashes: str) -> str:
    known = np.flatnonzero(y.notna())
    # Few of many epochs are enough for the shape, the first and the last among them.
    points = " ".join(
        f"{x[at]:.1f},{y.iloc[at]:.1f}" for at in known[evenly(len(known), MOST_POINTS)]
    )
    return f'<polyline points="{points}"{dashes}/>'


def _changed(model: Any) -> str:
    """List the parameters that differ from their defaults."""
    names = model._get_params_html(deep=False).non_default
    values = {name: shown(summed_up(getattr(model, name), name), 80) for name in names}
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "all as by default"


def _fitted_on(model: Any) -> str:
    shape = f"windows of {model.n_steps_in_} steps x {_count_features(model)} features"
    if getattr(model, "n_outputs_", 1) > 1:
        shape += f", {model.n_outputs_} labels a row"
    on = getattr(model, "fitted_on_", None)
    if on is None:
        return shape
    parts = [f"{on.n_rows:,} rows with a label"]
    if on.n_days is not None:
        parts.insert(0, f"{on.n_days:,} days ({on.first_day.date()} to {on.last_day.date()})")
    if on.n_stocks is not None:
        parts.insert(0, f"{on.n_stocks:,} stocks")
    return ", ".join([*parts, shape])


def _count_features(model: Any) -> int:
    return model.n_features_in_ if model.input_kind_ == "windows" else 1


def _training(model: Any, best: int | None) -> str:
    history = model.history_
    epochs = f"{model.n_iter_:,} epoch{'' if model.n_iter_ == 1 else 's'}"
    name = "train_loss" if best is None else model.monitor
    value = history[name].iloc[-1] if best is None else history.loc[best, name]
    which = "last" if best is None else f"best is epoch {best},"
    parts = [epochs, f"{which} {name} {value:.4g}"]
    if "dur" in history:
        parts.append(f"{history['dur'].median():.2g} s an epoch on {model.net_.device}")
    return ", ".join(parts)
