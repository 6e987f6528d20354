"""FCViT (arXiv:2212.12552)."""
