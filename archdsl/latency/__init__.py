"""Latency: measured milliseconds per batch, always with its spread and with where it comes from.

The protocol is short rounds, everything that is compared side by side in each; only undisturbed rounds count
(`archdsl/timing`), and the median over them is the default statistic. Caches are warm, gradients off, TF32 off and
cuDNN may choose its algorithm. What is compared is compared within one run, never across two.
"""

from __future__ import annotations

from archdsl.latency.measuring import compare as compare
from archdsl.latency.measuring import measure as measure
from archdsl.latency.result import AGAIN as AGAIN
from archdsl.latency.result import LEAST_ROUNDS as LEAST_ROUNDS
from archdsl.latency.result import TOLERANCE as TOLERANCE
from archdsl.latency.result import Comparison as Comparison
from archdsl.latency.result import Latency as Latency
from archdsl.latency.rounds import Pace as Pace
from archdsl.latency.rounds import Timer as Timer
from archdsl.latency.rounds import measure_all as measure_all
from archdsl.latency.stats import STATS as STATS
from archdsl.latency.stats import Ratio as Ratio
from archdsl.latency.stats import checked_stat as checked_stat
from archdsl.latency.stats import default_stat as default_stat
from archdsl.latency.stats import ratio as ratio
from archdsl.runtimes.runner import Runner as Runner
from archdsl.runtimes.runner import prepare as prepare
from archdsl.runtimes.runner import steady as steady
from archdsl.runtimes.setting import DTYPES as DTYPES
from archdsl.runtimes.setting import RUNTIMES as RUNTIMES
from archdsl.runtimes.setting import Image as Image
from archdsl.runtimes.setting import Setting as Setting
from archdsl.runtimes.setting import checked_device as checked_device
from archdsl.runtimes.setting import default_device as default_device
from archdsl.runtimes.setting import default_runtime as default_runtime
