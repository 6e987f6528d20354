"""A third party's package of blocks, as one could be installed."""
