"""Networks that predict every step of the funnel, one a file."""
