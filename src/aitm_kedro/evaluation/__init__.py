"""Metrics of predictions, confidence intervals and significance tests: NumPy and SciPy, no torch, no Kedro."""
