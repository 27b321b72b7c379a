"""Drawing of HIST."""

from boxes import arrow, box, canvas, note, path

ax = canvas(5.6, 3.9)
PARTS = {
    3.55: "predefined concepts\n(sectors you pass)",
    1.95: "hidden concepts\n(most similar stocks)",
    0.35: "the stock alone",
}
box(ax, 0.53, 1.95, "windows\nof the\nday's stocks", "input", width=0.95, height=0.75, size=9)
arrow(ax, (1.01, 1.95), (1.2, 1.95))
box(ax, 1.53, 1.95, "GRU or\nLSTM", width=0.66, height=0.6, size=9)
note(ax, 1.53, 2.42, "states $s_i$")
path(ax, (1.86, 1.95), (2.03, 1.95), (2.03, 3.55), (2.25, 3.55))
for y, words in PARTS.items():
    kind = "layer" if y == 0.35 else "attention"
    box(ax, 3.02, y, words, kind, width=1.54, height=0.62, size=9)
for y in (3.55, 1.95):
    arrow(ax, (3.02, y - 0.31), (3.02, y - 1.29))
    note(ax, 3.1, y - 0.8, "what these do\nnot explain", ha="left")
path(ax, (3.79, 3.55), (4.55, 3.55), (4.55, 2.25))
arrow(ax, (3.79, 1.95), (4.2, 1.95))
path(ax, (3.79, 0.35), (4.55, 0.35), (4.55, 1.65))
box(ax, 4.55, 1.95, "sum,\nlinear", width=0.68, height=0.6, size=9)
arrow(ax, (4.89, 1.95), (5.1, 1.95))
box(ax, 5.33, 1.95, "$\\hat y_i$", "output", width=0.44, height=0.44)
