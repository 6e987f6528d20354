"""The inference form of a network: equal to rounding, in as few passes over its maps as can be.

`optimize` copies a network and puts a fused form in the place of each module that has one (`forms`): on CUDA these call
the operators of `archdsl.kernels`. The module that `archdsl.build` gives stays as it is.
"""

from archdsl.optimizing.inference import optimize as optimize
