"""A network's weights derived from a trained one's: inherited tensor by tensor, then fitted again block by block.

`inheriting` is the public call. Which parts of two networks correspond is in `counterparts`, where the entries of a
dimension come from in `axes`, what the dimensions of attention are in `heads`, one tensor's values in `tensors`, and
`walking` goes through both networks with them. `refitting` fits blocks to the parent's activations, `score` judges a
network in one pass.
"""

from archdsl.deriving.inheriting import inherit as inherit
from archdsl.deriving.report import Inheritance as Inheritance
