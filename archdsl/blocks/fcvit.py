"""FCViT: A Close Look at Spatial Modeling: From Attention to Convolution (arXiv:2212.12552)."""
