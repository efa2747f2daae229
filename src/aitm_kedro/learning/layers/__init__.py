"""Parts of networks: embeddings, towers, experts, the transfer between steps."""
