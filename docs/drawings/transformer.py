"""Drawing of the Transformer."""

from boxes import FILLS, INK, arrow, box, canvas, note, path
from matplotlib.patches import FancyBboxPatch, Rectangle

ax = canvas(5.6, 4.2)
MIDDLE = 1.42
box(ax, MIDDLE, 0.28, "window  $x_1 ... x_T$", "input", width=1.75)
arrow(ax, (MIDDLE, 0.51), (MIDDLE, 0.7))
box(ax, MIDDLE, 0.93, "linear + position", width=1.75)
arrow(ax, (MIDDLE, 1.16), (MIDDLE, 1.52))
layer = FancyBboxPatch((0.06, 1.28), 2.4, 2.14, "round,pad=0,rounding_size=0.1")
layer.set(fc="none", ec=INK, lw=1, ls="--")
ax.add_patch(layer)
note(ax, 0.06, 3.58, "encoder layer, num_layers times", ha="left")
box(ax, MIDDLE, 1.75, "attention heads", "attention", width=1.75)
arrow(ax, (MIDDLE, 1.98), (MIDDLE, 2.12))
box(ax, MIDDLE, 2.27, "add, norm", width=1.75, height=0.3)
arrow(ax, (MIDDLE, 2.42), (MIDDLE, 2.56))
box(ax, MIDDLE, 2.76, "feed-forward", width=1.75, height=0.4)
arrow(ax, (MIDDLE, 2.96), (MIDDLE, 3.1))
box(ax, MIDDLE, 3.25, "add, norm", width=1.75, height=0.3)
for low, high in ((1.39, 2.27), (2.48, 3.25)):
    path(ax, (MIDDLE, low), (0.25, low), (0.25, high), (0.54, high))
path(ax, (2.3, 3.25), (2.8, 3.25), (2.8, 3.9), (3.3, 3.9))
note(ax, 2.88, 3.5, "last step", ha="left")
box(ax, 3.75, 3.9, "linear", width=0.9)
arrow(ax, (4.2, 3.9), (4.6, 3.9))
box(ax, 4.9, 3.9, "$\\hat y$", "output", width=0.6, height=0.44)

# A map of a head: of each step (row), the weights over all steps. The last row is read.
SIDE, N, LEFT, LOW = 0.25, 7, 3.3, 0.72
for row in range(N):
    for key in range(N):
        fill = FILLS["attention"] if abs(key - 0.6 * row) < 1.2 else FILLS["input"]
        place = (LEFT + key * SIDE, LOW + (N - 1 - row) * SIDE)
        ax.add_patch(Rectangle(place, SIDE, SIDE, fc=fill, ec="white", lw=1))
ax.add_patch(Rectangle((LEFT, LOW), N * SIDE, SIDE, fc="none", ec="#c0392b", lw=2))
note(ax, LEFT + N * SIDE / 2, LOW + N * SIDE + 0.18, "map of a head")
note(ax, LEFT + N * SIDE / 2, LOW - 0.18, "key: looked at")
note(ax, LEFT - 0.16, LOW + N * SIDE / 2, "query: looks", rotation=90)
note(ax, LEFT + N * SIDE + 0.08, LOW + SIDE / 2, "read", ha="left")
