"""Data to learn and to test with: a simulated market, and real prices that a package ships."""

from skattn.datasets._market import make_market
from skattn.datasets._sp500 import load_sp500

__all__ = ["load_sp500", "make_market"]
