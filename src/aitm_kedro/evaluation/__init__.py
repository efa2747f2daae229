"""Metrics, confidence intervals and the correction for downsampling: NumPy and SciPy, no torch, no Kedro."""
