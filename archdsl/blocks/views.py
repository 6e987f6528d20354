"""What a module shows of itself, under the path that packages of blocks import."""

from archdsl.families.common.views import Arrows as Arrows
from archdsl.families.common.views import Heat as Heat
from archdsl.families.common.views import Points as Points
from archdsl.families.common.views import View as View
from archdsl.families.common.views import attention_weights as attention_weights
