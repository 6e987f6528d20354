"""Backbones in other libraries: timm's model registry, and the Hugging Face Hub."""
