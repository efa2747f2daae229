"""Training of networks: batches, loop, optimisers, early stopping."""
