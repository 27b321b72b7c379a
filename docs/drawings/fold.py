"""What one fold may know: the past, and nothing of the days that it is tested on."""

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

SPANS = [
    (0, 5.0, "#3f90da", None, "train"),
    (5.0, 0.5, "white", "////", ""),
    (5.5, 1.6, "#94c0ea", None, "held\nout"),
    (7.1, 0.5, "white", "////", ""),
    (7.6, 2.4, "#ffd98a", None, "test"),
]
KNOWN = [
    (0, 7.1, "medians and scales of the features"),
    (0, 5.0, "weights of the network"),
    (5.5, 1.6, "when to stop"),
    (7.6, 2.4, "the score"),
]

fig, ax = plt.subplots(figsize=(4.4, 3.5))
for left, width, color, hatch, name in SPANS:
    ax.add_patch(Rectangle((left, 0), width, 1, facecolor=color, hatch=hatch, edgecolor="black"))
    ax.text(left + width / 2, 0.5, name, ha="center", va="center")
for place, (left, width, text) in enumerate(KNOWN):
    height = -1.25 - 0.85 * place
    ax.annotate(
        "",
        (left + width, height),
        (left, height),
        arrowprops={"arrowstyle": "|-|, widthA=.3, widthB=.3"},
    )
    ax.text(min(left + width / 2, 8.2), height + 0.08, text, ha="center", va="bottom")
ax.annotate(
    "",
    (6.4, 1.05),
    (8.6, 1.05),
    arrowprops={"arrowstyle": "->", "connectionstyle": "arc3,rad=0.5", "linewidth": 1.3},
)
ax.text(7.5, 1.85, "windows may look back", ha="center")
for left in (5.25, 7.35):
    ax.annotate("purged", (left, 0), (left, -0.12), ha="center", va="top", fontsize=8.5)
ax.text(0, 1.85, "time →")
ax.set(xlim=(-0.1, 10.2), ylim=(-4, 2.3))
ax.axis("off")
