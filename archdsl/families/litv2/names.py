"""Tensor names of LITv2's authors' networks inside a block, theirs to ours; all others are those of LIT."""

HILO = {"attn": "mixer"}
