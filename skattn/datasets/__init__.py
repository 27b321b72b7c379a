"""Data for examples and tests: a simulated market, and real prices from an installed package."""

from skattn.datasets._market import make_market
from skattn.datasets._sp500 import load_sp500

__all__ = ["load_sp500", "make_market"]
