"""Operators for inference on a GPU: one pass where plain PyTorch takes several, each with an eager reference.

`depthwise`, `block_attention`, `token_attention` and `sample_keys` are `torch.library` operators of the namespace
`archdsl`. On a CPU, and where Triton is absent, they compute their reference; on CUDA a Triton kernel, launched as was
fastest for that shape here (`tuning`). They have no gradient, and say so. Triton is imported when a kernel first runs.
"""
