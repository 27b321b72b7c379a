"""Inspection of fitted models."""

from skattn.inspection._attention import attention_weights
from skattn.inspection._attention_display import AttentionDisplay
from skattn.inspection._map import AttentionMap

__all__ = ["AttentionDisplay", "AttentionMap", "attention_weights"]
