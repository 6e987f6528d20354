"""Dual-ViT: Dual Vision Transformer (arXiv:2207.04976)."""
