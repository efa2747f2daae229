"""Training, checking and running networks: any of them, the loop knows no model by name."""
