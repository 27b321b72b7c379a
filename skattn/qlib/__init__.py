"""Readers for qlib's files on disk, without qlib: prices, concepts and workflows."""

from skattn.qlib._provider import read_provider
from skattn.qlib._stock2concept import read_stock2concept
from skattn.qlib._workflow import load_workflow

__all__ = ["load_workflow", "read_provider", "read_stock2concept"]
