"""Blocks and stages, under the path that packages of blocks import."""

from archdsl.families.common.inputs import ALL_PORTS as ALL_PORTS
from archdsl.families.common.stage import BOTH as BOTH
from archdsl.families.common.stage import Block as Block
from archdsl.families.common.stage import Stage as Stage
from archdsl.families.common.stage import TwoPathBlock as TwoPathBlock
