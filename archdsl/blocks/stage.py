"""Blocks and stages, under the path that packages of blocks import."""

from archdsl.families.common.block import BOTH as BOTH
from archdsl.families.common.block import Block as Block
from archdsl.families.common.block import TwoPathBlock as TwoPathBlock
from archdsl.families.common.inputs import ALL_PORTS as ALL_PORTS
from archdsl.families.common.stage import Stage as Stage
