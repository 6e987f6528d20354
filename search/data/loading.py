"""Loading of data sets, under the path of earlier versions."""

from archdsl.data.loading import load as load
