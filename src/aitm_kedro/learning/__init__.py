"""Everything that learns: networks and their training, trees, linear models."""
