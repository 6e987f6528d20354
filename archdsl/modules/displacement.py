"""Position biases of queries and sampled keys (DAT++, arXiv:2309.01430)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _DisplacementBias(nn.Module):
    """A bias by what lies between a query and a sampled key."""

    def forward(self, places: Tensor, height: int, width: int) -> Tensor:
        """(B, groups, Hk, Wk, xy) -> (B, heads, height * width, Hk * Wk), query by key"""
        raise NotImplementedError

    @staticmethod
    def displacement(places: Tensor, height: int, width: int) -> Tensor:
        """(B, groups, Hk, Wk, xy) -> (B, groups, height * width, Hk * Wk, xy): half of query - key.

        Queries stand at their pixels, -1 to 1 from the first to the last; the keys' references do not.
        """
        x = torch.linspace(-0.5, 0.5, width, dtype=places.dtype, device=places.device).expand(height, width)
        y = torch.linspace(-0.5, 0.5, height, dtype=places.dtype, device=places.device)[:, None].expand(height, width)
        queries = torch.stack([x, y], dim=-1).flatten(0, 1)[:, None]  # (height * width, 1, xy)
        return torch.sub(queries, places.flatten(2, 3)[:, :, None], alpha=0.5)


class SampledBias(_DisplacementBias):
    """A table a head, read bilinearly; its middle entry is no displacement, its ends are from border to border.

    At the size that it is made for an entry is one position; at another size the same table is read at the same share
    of the way from border to border, as the published code does.
    """

    def __init__(self, height: int, width: int, heads: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, 2 * height - 1, 2 * width - 1))
        nn.init.trunc_normal_(self.table, std=0.01)

    def forward(self, places: Tensor, height: int, width: int) -> Tensor:
        """(B, groups, Hk, Wk, xy) -> (B, heads, height * width, Hk * Wk), query by key"""
        B, groups = places.shape[:2]
        displacement = self.displacement(places, height, width).flatten(0, 1)
        table = self.table.to(places.dtype).unflatten(0, (groups, -1)).expand(B, -1, -1, -1, -1).flatten(0, 1)
        bias = F.grid_sample(table, displacement, mode="bilinear", padding_mode="zeros", align_corners=True)
        return bias.unflatten(0, (B, groups)).flatten(1, 2)


class LogBias(_DisplacementBias):
    """An MLP of the displacement's logarithm for all groups, a result for each head of a group (arXiv:2111.09883)."""

    def __init__(self, hidden: int, heads: int) -> None:
        """`heads` are those of one group."""
        super().__init__()
        self.fc1 = nn.Linear(2, hidden)
        self.fc2 = nn.Linear(hidden, heads, bias=False)

    def forward(self, places: Tensor, height: int, width: int) -> Tensor:
        """(B, groups, Hk, Wk, xy) -> (B, heads, height * width, Hk * Wk), query by key"""
        x = self.displacement(places, height, width)
        x = (x.sign() * torch.log2(1 + 8 * x.abs()) / 3).to(self.fc1.weight.dtype)
        x = F.linear(x, self.fc1.weight.flip(1), self.fc1.bias)  # published weights take y first
        x = self.fc2(F.relu(x, inplace=True))
        x = x.permute(0, 1, 4, 2, 3)  # (B, groups, heads of a group, height * width, Hk * Wk)
        return x.flatten(1, 2).contiguous()


class FixedBias(nn.Module):
    """A table by head, query and key, whatever the offsets.

    At another size than the one it was built for it is resized bicubically, over the keys and then over the queries;
    the published code fails there.
    """

    def __init__(self, queries: tuple[int, int], keys: tuple[int, int], heads: int) -> None:
        super().__init__()
        self.queries, self.keys = queries, keys
        self.table = nn.Parameter(torch.zeros(heads, queries[0] * queries[1], keys[0] * keys[1]))
        nn.init.trunc_normal_(self.table, std=0.01)

    def forward(self, places: Tensor, height: int, width: int) -> Tensor:
        """(B, groups, Hk, Wk, xy) -> (1, heads, height * width, Hk * Wk), query by key"""
        keys = (places.shape[2], places.shape[3])
        table = self.table.clone()  # torch's counters refuse a module that gives a view of its parameter
        if keys != self.keys:
            table = F.interpolate(table.unflatten(2, self.keys), size=keys, mode="bicubic").flatten(2)
        if (height, width) != self.queries:
            table = table.transpose(1, 2).unflatten(2, self.queries)
            table = F.interpolate(table, size=(height, width), mode="bicubic").flatten(2).transpose(1, 2)
        return table[None]
