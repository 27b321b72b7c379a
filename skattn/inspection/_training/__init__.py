"""Losses, scores and learning rates by epoch."""
