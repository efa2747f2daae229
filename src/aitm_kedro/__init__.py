"""aitm-kedro: multi-step conversion funnels, from raw impressions to figures."""

__version__ = "0.1.0"
