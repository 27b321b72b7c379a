"""Inspection of fitted models."""

from skattn.inspection._attention import attention_weights
from skattn.inspection._attention_display import AttentionDisplay
from skattn.inspection._gradients import integrated_gradients
from skattn.inspection._importance_display import FeatureImportanceDisplay
from skattn.inspection._map import AttentionMap
from skattn.inspection._permutation import permutation_importance
from skattn.inspection._timeline import AttentionTimelineDisplay
from skattn.inspection._training import TrainingDisplay
from skattn.inspection._training_history import epoch_values

__all__ = [
    "AttentionDisplay",
    "AttentionMap",
    "AttentionTimelineDisplay",
    "FeatureImportanceDisplay",
    "TrainingDisplay",
    "attention_weights",
    "epoch_values",
    "integrated_gradients",
    "permutation_importance",
]
