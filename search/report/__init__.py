"""A run's folder as facts, and the facts as CSV and JSON; `archdsl.render` draws them.

`reading` takes the files as they are found, also those of a run that was cut off; `gathering` makes one `Report` of
them, `sheet` writes its table. What cannot be read is told in the report, and never ends it.
"""

from archdsl.search.report.facts import Report
from archdsl.search.report.gathering import read_report
from archdsl.search.report.sheet import write_csv

__all__ = ["Report", "read_report", "write_csv"]
