"""What a label is made of, and the two training days that a purge leaves out for it."""

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

fig, (above, below) = plt.subplots(2, 1, figsize=(4, 3.7), layout="constrained")

above.plot([-0.4, 3.4], [0, 0], color="black", linewidth=1)
for day, (name, event) in enumerate(
    [
        ("t", "the window\nends here"),
        ("t + 1", "buy at\nthe close"),
        ("t + 2", "sell at\nthe close"),
    ]
):
    above.plot(day, 0, "o", color="black", markersize=8)
    above.text(day, -0.25, name, ha="center", va="top", weight="bold")
    above.text(day, 0.25, event, ha="center", va="bottom")
for left, right, height, text in [
    (0, 1, -1.0, "delay 1"),
    (1, 2, -1.0, "horizon 1"),
    (0, 2, -1.75, "reach 2"),
]:
    above.annotate(
        "", (right, height), (left, height), arrowprops={"arrowstyle": "|-|, widthA=.3, widthB=.3"}
    )
    above.text((left + right) / 2, height + 0.1, text, ha="center", va="bottom")
above.set(xlim=(-0.6, 3.2), ylim=(-2, 1.1))

ROLES = ["train"] * 4 + ["purged"] * 2 + ["test"] * 3
STYLES = {
    "train": {"facecolor": "#3f90da"},
    "purged": {"facecolor": "white", "hatch": "////"},
    "test": {"facecolor": "#ffd98a"},
}
for day, role in enumerate(ROLES):
    below.add_patch(Rectangle((day, 0), 0.94, 0.8, edgecolor="black", **STYLES[role]))
for day in (3, 4, 5):
    below.annotate(
        "",
        (day + 2.47, 0.85),
        (day + 0.47, 0.85),
        arrowprops={"arrowstyle": "->", "connectionstyle": "arc3,rad=-0.45", "linewidth": 1.3},
    )
for first, role in ((0, "train"), (4, "purged"), (6, "test")):
    below.text(first + ROLES.count(role) / 2, -0.15, role, ha="center", va="top")
below.text(3.3, 1.75, "arrows: the last day that a label looks at", ha="center")
below.set(xlim=(-0.2, 9.2), ylim=(-0.7, 2.1))
for ax in (above, below):
    ax.axis("off")
