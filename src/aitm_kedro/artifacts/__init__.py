"""What leaves the house: bundles of trained models, and the predictor that uses them on new rows."""
