"""Tables of latencies: a network's milliseconds from those of its parts, each measured once on a device.

A table is of one space and one setting (device, batch, dtype, runtime, threads, statistic), made from what the space's
declarations say and nothing else. It tells its own error on networks that had no part in making it, and is refused once
the device or a version is another.
"""

from __future__ import annotations

from archdsl.latency.tables.building import build_tables as build_tables
from archdsl.latency.tables.calibration import Accuracy as Accuracy
from archdsl.latency.tables.calibration import accuracy as accuracy
from archdsl.latency.tables.table import StaleTable as StaleTable
from archdsl.latency.tables.table import Table as Table
from archdsl.latency.tables.table import TableSetting as TableSetting
from archdsl.latency.tables.table import load as load
from archdsl.latency.tables.table import load_here as load_here
