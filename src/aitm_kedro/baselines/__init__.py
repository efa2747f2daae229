"""Models that are no networks."""
