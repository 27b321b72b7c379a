"""Attention weights, and their pictures."""
