"""Importance of fields and lags, beside the attention."""
