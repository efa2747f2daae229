"""Comparison of runs: one table of their numbers, what it comes to, and whether differences are significant."""
