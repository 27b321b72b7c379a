"""The command ``skattn``: which models there are, what they are, and whether they work here.

``python -m skattn`` is the same command. Only the commands that make a model import torch.
"""

from skattn.cli._commands import main

__all__ = ["main"]
