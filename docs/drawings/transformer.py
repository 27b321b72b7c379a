"""Drawing of the Transformer."""

from boxes import FILLS, INK, arrow, box, canvas, note, path
from matplotlib.patches import FancyBboxPatch

ax = canvas(7.0, 4.3)
box(ax, 1.7, 0.3, "window  $x_1 ... x_T$", "input", width=1.9)
arrow(ax, (1.7, 0.53), (1.7, 0.72))
box(ax, 1.7, 0.95, "linear + position", width=1.9)
arrow(ax, (1.7, 1.18), (1.7, 1.52))
style = "round,pad=0,rounding_size=0.1"
ax.add_patch(FancyBboxPatch((0.35, 1.32), 2.7, 2.1, style, fc="none", ec=INK, lw=1, ls="--"))
note(ax, 0.5, 3.56, "encoder layer, num_layers times", ha="left")
box(ax, 1.7, 1.75, "attention, nhead heads", "attention", width=1.9)
arrow(ax, (1.7, 1.98), (1.7, 2.12))
box(ax, 1.7, 2.27, "add, norm", width=1.9, height=0.3)
arrow(ax, (1.7, 2.42), (1.7, 2.56))
box(ax, 1.7, 2.76, "feed-forward", width=1.9, height=0.4)
arrow(ax, (1.7, 2.96), (1.7, 3.1))
box(ax, 1.7, 3.25, "add, norm", width=1.9, height=0.3)
for low, high in ((1.42, 2.27), (2.49, 3.25)):
    path(ax, (1.7, low), (0.55, low), (0.55, high), (0.75, high))
path(ax, (2.65, 3.25), (3.6, 3.25), (3.6, 3.9), (3.9, 3.9))
note(ax, 3.68, 3.56, "last step", ha="left")
box(ax, 4.4, 3.9, "linear", width=1.0)
arrow(ax, (4.9, 3.9), (5.3, 3.9))
box(ax, 5.65, 3.9, "$\\hat y$", "output", width=0.6, height=0.4)

# An attention map: each step's weights over all steps.
side, n = 0.26, 7
left, low = 4.35, 0.75
for row in range(n):
    for key in range(n):
        near = 1 / (1 + abs(key - 0.6 * row))
        color = FILLS["attention"] if near > 0.45 else FILLS["input"]
        place = (left + key * side, low + (n - 1 - row) * side)
        ax.add_patch(FancyBboxPatch(place, side, side, "square,pad=0", fc=color, ec="white", lw=1))
frame = (left, low)
ax.add_patch(FancyBboxPatch(frame, n * side, side, "square,pad=0", fc="none", ec="black", lw=1.6))
note(ax, left + n * side / 2, low + n * side + 0.2, "map of a head: queries by keys")
note(ax, left + n * side / 2, low - 0.2, "key (step that is looked at)")
note(ax, left - 0.18, low + n * side / 2, "query", rotation=90)
note(ax, left + n * side + 0.1, low + side / 2, "read by the\noutput", ha="left", size=8.5)
