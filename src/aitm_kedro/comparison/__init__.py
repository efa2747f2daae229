"""Runs beside each other: one table, what it comes to, and whether differences are significant."""
