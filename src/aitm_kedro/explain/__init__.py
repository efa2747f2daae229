"""Interpretation of a trained model: its representations by t-SNE, and how much is transferred between steps."""
