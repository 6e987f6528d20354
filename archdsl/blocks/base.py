"""The contract of a part, under the path that packages of stems, merges, joins and heads import."""

from archdsl.families.common.base import Head as Head
from archdsl.families.common.base import Join as Join
from archdsl.families.common.base import Merge as Merge
from archdsl.families.common.base import Part as Part
from archdsl.families.common.base import Stem as Stem
