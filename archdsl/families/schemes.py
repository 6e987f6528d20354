"""The schemes of published tensor names, by what a document's `weights` says."""

from archdsl.families.dat.names import DAT
from archdsl.families.datpp.names import DATPP
from archdsl.families.dualvit.names import DUALVIT
from archdsl.families.fcvit.names import FCVIT
from archdsl.families.lit.names import LIT, LIT_TI

SCHEMES = {
    "dat": DAT,
    "datpp": DATPP,
    "dualvit": DUALVIT,
    "fcvit": FCVIT,
    "lit": LIT,
    "litv2": LIT,
    "litti": LIT_TI,
}
