"""DAT++: Spatially Dynamic Vision Transformer with Deformable Attention (arXiv:2309.01430)."""
