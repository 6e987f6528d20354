"""Backbones in other libraries: timm's model registry, the Hugging Face Hub, detectors."""
