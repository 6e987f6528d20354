"""Data sets, under the path of earlier versions; they are in `archdsl.data`."""
