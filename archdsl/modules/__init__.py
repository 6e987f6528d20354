"""What the declarations build: PyTorch modules, one file a family, shared parts in `layers`."""
