"""Inspection of fitted models."""

from skattn.inspection._attention.display import AttentionDisplay
from skattn.inspection._attention.map import AttentionMap
from skattn.inspection._attention.weights import attention_weights
from skattn.inspection._importance.display import FeatureImportanceDisplay
from skattn.inspection._importance.gradients import integrated_gradients
from skattn.inspection._importance.permutation import permutation_importance
from skattn.inspection._timeline.display import AttentionTimelineDisplay
from skattn.inspection._training.display import TrainingDisplay
from skattn.inspection._training.history import epoch_values

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
