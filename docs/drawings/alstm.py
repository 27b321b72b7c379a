"""Drawing of ALSTM."""

from boxes import arrow, box, canvas, note, path

ax = canvas(7.0, 4.1)
STEPS = {1.0: ("1", 0.10), 2.2: ("2", 0.22), 4.1: ("T-1", 0.36), 5.3: ("T", 0.23)}
for x, (step, weight) in STEPS.items():
    box(ax, x, 0.35, f"$x_{{{step}}}$", "input", width=0.8)
    arrow(ax, (x, 0.58), (x, 0.85))
    box(ax, x, 1.08, "linear, tanh", width=1.0, size=9)
    arrow(ax, (x, 1.31), (x, 1.58))
    box(ax, x, 1.81, f"$h_{{{step}}}$", width=0.8)
    arrow(ax, (x, 2.04), (x, 2.33))
    box(ax, x, 2.34 + weight, f"$a_{{{step}}}$", "attention", width=0.62, height=2 * weight, size=9)
    arrow(ax, (x, 2.34 + 2 * weight), (3.15 + (x - 3.15) * 0.22, 3.56))
for start, end in ((1.4, 1.8), (2.6, 2.95), (3.35, 3.7), (4.5, 4.9)):
    arrow(ax, (start, 1.81), (end, 1.81))
for y in (0.35, 1.08, 1.81, 2.55):
    note(ax, 3.15, y, "...", size=13)
box(ax, 3.15, 3.79, "$c = \\Sigma\\; a_t\\, h_t$", "attention", width=1.5)
path(ax, (5.7, 1.81), (6.45, 1.81), (6.45, 3.0))
arrow(ax, (3.9, 3.79), (5.9, 3.37))
box(ax, 6.35, 3.23, "linear", width=0.9)
arrow(ax, (6.35, 3.46), (6.35, 3.66))
box(ax, 6.35, 3.88, "$\\hat y$", "output", width=0.6, height=0.4)
note(ax, 0.3, 1.81, "GRU")
note(ax, 0.3, 0.35, "window")
note(ax, 0.3, 2.55, "weights")
