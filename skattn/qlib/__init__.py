"""What users of qlib have on disk, read without qlib: prices, concepts, workflows."""

from skattn.qlib._provider import read_provider
from skattn.qlib._stock2concept import read_stock2concept
from skattn.qlib._workflow import load_workflow

__all__ = ["load_workflow", "read_provider", "read_stock2concept"]
