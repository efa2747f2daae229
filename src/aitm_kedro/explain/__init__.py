"""What a model does inside: representations, and how much is transferred between steps."""
