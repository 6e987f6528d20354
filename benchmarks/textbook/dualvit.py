"""Dual-ViT (arXiv:2207.04976): a semantic pathway beside the pixels."""

# mypy: warn-return-any=False
from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .common import attention, maps, merge, mlp, tokens


def forward(net: Any, x: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, classes)"""
    x = merge(net.stem, stem(net.stem, x))
    semantics = first_semantics(net.semantic_stem, x)
    for number in range(1, 5):
        if number > 1:
            x = merge(getattr(net, f"merge{number - 1}"), x)
            module = getattr(net, f"semantic_merge{number - 1}")
            semantics = module.norm(module.proj(semantics))
        H, W = x.shape[2:]
        x, stage = tokens(x), getattr(net, f"stage{number}")
        for block in stage.blocks:
            run = dual if hasattr(block, "semantic_mixer") else joint
            x, semantics = run(block, x, semantics, H, W)
        if number < 4:
            x, semantics = stage.out_norm["pixels"](x), stage.out_norm["semantics"](semantics)
        x = maps(x, H, W)
    return classified(net.head, tokens(x), semantics)


def stem(module: Any, x: Tensor) -> Tensor:
    """Three convolutions with batch norm and ReLU."""
    for number in (1, 2, 3):
        x = F.relu(getattr(module, f"norm{number}")(getattr(module, f"conv{number}")(x)))
    return x


def first_semantics(module: Any, x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, M, C): learned queries read the averages of windows; a gate weighs both."""
    pooled = tokens(F.avg_pool2d(x, module.window))
    q = module.query(module.query_norm(module.queries)).expand(len(x), -1, -1)
    k, v = module.kv(pooled).chunk(2, -1)
    attended = attention(q, k, v, 1)
    mean = (attended + pooled).mean(1)
    gate = module.gate.fc2(F.relu(module.gate.fc1(mean))).reshape(len(x), 2, 1, -1).softmax(1)
    return module.norm(gate[:, 0] * attended + gate[:, 1] * pooled)


def read(module: Any, x: Tensor, other: Tensor) -> Tensor:
    """Attention of x to others, projected."""
    k, v = module.kv(other).chunk(2, -1)
    return module.proj(attention(module.q(x), k, v, module.heads))


def dual(block: Any, x: Tensor, semantics: Tensor, H: int, W: int) -> tuple[Tensor, Tensor]:
    """Semantics attend to themselves and to the pixels; then pixels attend to them."""
    y = block.norm1(x)
    q, k, v = block.semantic_mixer.qkv(block.semantic_norm1(semantics)).chunk(3, -1)
    mixed = attention(q, k, v, block.semantic_mixer.heads)
    semantics = semantics + block.semantic_scale1.gamma * mixed
    found = read(block.semantic_reader, block.semantic_norm2(semantics), y)
    semantics = semantics + block.semantic_scale2.gamma * found
    hidden = F.relu(block.semantic_mlp.fc1(block.semantic_norm3(semantics)))
    semantics = semantics + block.semantic_scale3.gamma * block.semantic_mlp.fc2(hidden)
    x = x + block.scale1.gamma * read(block.mixer, y, block.semantic_norm4(semantics))
    return x + block.scale2.gamma * mlp(block.mlp, block.norm2(x), H, W), semantics


def joint(block: Any, x: Tensor, semantics: Tensor, H: int, W: int) -> tuple[Tensor, Tensor]:
    """Self-attention of all tokens together, then an MLP of each."""
    z = torch.cat([x, semantics], 1)
    y = block.norm1(z)
    z = z + block.scale1.gamma * read(block.mixer, y, y)
    y, N = block.norm2(z), H * W
    x = z[:, :N] + block.scale2.gamma * mlp(block.mlp, y[:, :N], H, W)
    if block.semantic_mlp is None:
        return x, semantics
    return x, z[:, N:] + block.scale2.gamma * mlp(block.semantic_mlp, y[:, N:], 1, 1)


def classified(head: Any, x: Tensor, semantics: Tensor) -> Tensor:
    """A class token, the mean of all, attends to all tokens; with token labels half of the pixels' maximum is added."""
    every = torch.cat([x, semantics], 1)
    token = every.mean(1, keepdim=True)
    both = head.norm1(torch.cat([token, every], 1))
    token = token + read(head.mixer, both[:, :1], both)
    token = token + mlp(head.mlp, head.norm2(token), 1, 1)
    logits = head.fc(head.norm(token)[:, 0])
    return logits if head.aux_fc is None else logits + 0.5 * head.aux_fc(head.norm(x)).amax(1)
