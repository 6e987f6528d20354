"""A run's folder as facts, and the facts as HTML, CSV and JSON.

`reading` takes the files as they are found, also those of a run that was cut off; `gathering` makes one `Report` of
them; `page` and `sheet` write it out. What cannot be read is told in the report, and never ends it.
"""

from archdsl.search.report.facts import Report
from archdsl.search.report.gathering import read_report
from archdsl.search.report.page import html, write_html
from archdsl.search.report.sheet import write_csv

__all__ = ["Report", "html", "read_report", "write_csv", "write_html"]
