"""What leaves the house: a trained model with all that is needed to use it."""
