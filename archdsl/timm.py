"""Registers the zoo with timm when it is imported: `import archdsl.timm; timm.create_model("archdsl_litv2_s")`."""

from archdsl.integrations.timm import TimmBackbone as TimmBackbone
from archdsl.integrations.timm import archdsl_any as archdsl_any

__all__ = ["TimmBackbone", "archdsl_any"]
