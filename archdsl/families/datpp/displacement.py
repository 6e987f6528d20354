"""Position biases of queries and sampled keys (DAT++, arXiv:2309.01430)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.dat import modules as dat


def pixels(count: int, like: Tensor) -> Tensor:
    """Where queries stand along a side: -1 to 1 from the first pixel's centre to the last's; the keys' do not."""
    return torch.linspace(-1, 1, count, dtype=like.dtype, device=like.device)


class SampledBias(dat.SampledBias):
    """A table a head, read bilinearly; its middle entry is no displacement, its ends are from border to border.

    At the size that it is made for an entry is one position; at another size the same table is read at the same share
    of the way from border to border, as the published code does.
    """

    side = staticmethod(pixels)

    def at(self, height: int, width: int) -> Tensor:
        """The table as it is."""
        return self.table


class LogBias(nn.Module):
    """An MLP of the displacement's logarithm for all groups, a result for each head of a group (arXiv:2111.09883)."""

    undecayed = ("fc1.weight", "fc2.weight")

    def __init__(self, hidden: int, heads: int) -> None:
        """`heads` are those of one group."""
        super().__init__()
        self.fc1 = nn.Linear(2, hidden)
        self.fc2 = nn.Linear(hidden, heads, bias=False)

    def forward(self, places: Tensor, height: int, width: int) -> Tensor:
        """(B, groups, Hk, Wk, xy) -> (B, heads, height * width, Hk * Wk), query by key"""
        x = dat.displacement(pixels(height, places), pixels(width, places), places)
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

    undecayed = ("table",)

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
