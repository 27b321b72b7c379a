"""Attention of one instrument over time, beside its market."""
