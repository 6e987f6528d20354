"""Every type of part that a document can name: one folder a paper, and `common` for what two papers share.

A paper's `spec.py` declares its types without torch; its `modules.py` holds what they build.
"""
