"""Inspection of fitted models."""

from skattn.inspection._attention import attention_weights
from skattn.inspection._attention_display import AttentionDisplay
from skattn.inspection._map import AttentionMap
from skattn.inspection._timeline import AttentionTimelineDisplay

__all__ = ["AttentionDisplay", "AttentionMap", "AttentionTimelineDisplay", "attention_weights"]
