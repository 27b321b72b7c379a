"""Inspection of fitted models."""

from skattn.inspection._attention import AttentionMap, attention_weights

__all__ = ["AttentionMap", "attention_weights"]
