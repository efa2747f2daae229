"""What happens around a run: whether it may begin, what it prints, what is kept of it; called by the hooks."""
