"""Drawing of HIST."""

from boxes import arrow, box, canvas, note, path

ax = canvas(7.1, 4.2)
box(ax, 0.8, 2.1, "windows of the\nday's stocks", "input", width=1.3, height=0.6, size=9)
arrow(ax, (1.45, 2.1), (1.7, 2.1))
box(ax, 2.15, 2.1, "GRU or\nLSTM", width=0.8, height=0.6, size=9)
note(ax, 2.15, 2.58, "states $s_i$")
PARTS = {
    3.6: "predefined concepts\n(sectors you pass)",
    2.1: "hidden concepts\n(most similar stocks)",
    0.6: "the stock alone",
}
path(ax, (2.55, 2.1), (2.75, 2.1), (2.75, 3.6), (3.0, 3.6))
for y, words in PARTS.items():
    box(ax, 3.9, y, words, "layer" if y == 0.6 else "attention", width=1.8, height=0.62, size=9)
for y in (3.6, 2.1):
    arrow(ax, (3.9, y - 0.31), (3.9, y - 1.19))
    note(ax, 3.98, y - 0.75, "rest: what these concepts\nexplain is subtracted", ha="left", size=8.5)
path(ax, (4.8, 3.6), (6.1, 3.6), (6.1, 2.4))
arrow(ax, (4.8, 2.1), (5.75, 2.1))
path(ax, (4.8, 0.6), (6.1, 0.6), (6.1, 1.8))
box(ax, 6.1, 2.1, "sum,\nlinear", width=0.7, height=0.6, size=9)
arrow(ax, (6.45, 2.1), (6.63, 2.1))
box(ax, 6.85, 2.1, "$\\hat y_i$", "output", width=0.42, height=0.42)
