"""Dual-ViT (arXiv:2207.04976)."""
