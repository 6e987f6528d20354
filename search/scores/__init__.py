"""Scores of a network at initialisation: what it costs no training to know, as a proxy for accuracy.

Each module holds one score, written from its formula; `ensemble.py` makes one rank of them, `screen.py` decides by it.
"""
