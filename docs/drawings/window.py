"""A window over a table: the last five days of one stock, and the window of the next day."""

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

FIELDS = ["open", "high", "low", "close", "volume"]
DAYS = ["t - 6", "t - 5", "t - 4", "t - 3", "t - 2", "t - 1", "t", "t + 1"]
LENGTH, TODAY = 5, 6

fig, ax = plt.subplots(figsize=(4.2, 3.6))
for row, day in enumerate(DAYS):
    is_inside = TODAY - LENGTH < row <= TODAY
    for column in range(len(FIELDS)):
        color = "#9ec5ec" if is_inside else "#f2f2f2"
        ax.add_patch(Rectangle((column, row), 1, 1, facecolor=color, edgecolor="white"))
    ax.text(-0.15, row + 0.5, day, ha="right", va="center", weight="bold" if row == TODAY else None)
for column, field in enumerate(FIELDS):
    ax.text(column + 0.5, -0.2, field, ha="center", va="bottom", fontsize=7.5)
first = TODAY - LENGTH + 1
frame = {"fill": False, "linewidth": 2}
ax.add_patch(Rectangle((0, first), len(FIELDS), LENGTH, edgecolor="black", **frame))
ax.add_patch(
    Rectangle((0.12, first + 1), len(FIELDS) - 0.24, LENGTH, edgecolor="black", ls="--", **frame)
)
ax.text(5.2, 3.6, "window\nof day t", va="center")
ax.text(5.2, 7.4, "window of\nday t + 1\n(dashed)", va="center")
ax.set(xlim=(-1.1, 7), ylim=(8.3, -0.7))
ax.axis("off")
