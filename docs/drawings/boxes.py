"""Boxes and arrows of the drawings of models. Ink is readable on white and on black."""

from __future__ import annotations

from itertools import pairwise

from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

INK = "#757575"
FILLS = {"input": "#e4e4e4", "layer": "#b9d6f2", "attention": "#f7c884", "output": "#c4e5b8"}


def canvas(width: float, height: float):
    """Make axes without a frame, with an inch as the unit, on a transparent ground."""
    figure = plt.figure(figsize=(width, height))
    figure.patch.set_alpha(0)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return ax


def box(ax, x: float, y: float, words: str, kind: str = "layer", width=1.2, height=0.45, size=10):
    """Draw a box around a place."""
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=0.07"
    ax.add_patch(FancyBboxPatch(corner, width, height, style, fc=FILLS[kind], ec=INK, lw=1))
    ax.text(x, y, words, ha="center", va="center", color="black", size=size)


def arrow(ax, start, end):
    """Draw an arrow between two places."""
    shape = {"arrowstyle": "-|>", "color": INK, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=shape)


def path(ax, *places):
    """Draw a line with corners that ends in an arrow."""
    for start, end in pairwise(places[:-1]):
        ax.plot(*zip(start, end, strict=True), color=INK, lw=1.2, solid_capstyle="projecting")
    arrow(ax, places[-2], places[-1])


def note(ax, x: float, y: float, words: str, **text):
    """Write beside the boxes."""
    ax.text(x, y, words, **{"ha": "center", "va": "center", "color": INK, "size": 9.5, **text})
