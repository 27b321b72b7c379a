"""Drawing of ALSTM."""

from boxes import arrow, box, canvas, note, path

ax = canvas(5.6, 4.15)
STEPS = {1.05: ("1", 0.1), 1.95: ("2", 0.2), 3.25: ("T-1", 0.36), 4.15: ("T", 0.22)}
CONTEXT = (2.6, 3.79)
for x, (step, weight) in STEPS.items():
    box(ax, x, 0.3, f"$x_{{{step}}}$", "input", width=0.72)
    arrow(ax, (x, 0.53), (x, 0.76))
    box(ax, x, 1.05, "linear,\ntanh", width=0.72, height=0.56, size=9)
    arrow(ax, (x, 1.33), (x, 1.58))
    box(ax, x, 1.81, f"$h_{{{step}}}$", width=0.72)
    arrow(ax, (x, 2.04), (x, 2.32))
    box(ax, x, 2.33 + weight, f"$a_{{{step}}}$", "attention", width=0.56, height=2 * weight)
    arrow(ax, (x, 2.33 + 2 * weight), (CONTEXT[0] + (x - CONTEXT[0]) * 0.3, 3.56))
for start, end in ((1.41, 1.59), (2.31, 2.5), (2.7, 2.89), (3.61, 3.79)):
    arrow(ax, (start, 1.81), (end, 1.81))
for y in (0.3, 1.05, 1.81, 2.55):
    note(ax, 2.6, y, "...", size=13)
box(ax, *CONTEXT, "$c = \\Sigma\\; a_t\\, h_t$", "attention", width=1.4)
path(ax, (4.51, 1.81), (5.0, 1.81), (5.0, 2.85))
path(ax, (3.3, 3.79), (4.3, 3.79), (4.3, 3.08), (4.55, 3.08))
box(ax, 5.0, 3.08, "linear", width=0.9)
arrow(ax, (5.0, 3.31), (5.0, 3.57))
box(ax, 5.0, 3.79, "$\\hat y$", "output", width=0.6, height=0.44)
for y, words in ((0.3, "window"), (1.81, "GRU"), (2.55, "weights")):
    note(ax, 0.32, y, words)
