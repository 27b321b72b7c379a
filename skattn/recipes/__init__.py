"""Recipes: from prices to a signal in one call, with settings that won out of sample."""

from skattn.recipes._model import make_signal_model
from skattn.recipes._walk_forward import walk_forward_signal

__all__ = ["make_signal_model", "walk_forward_signal"]
