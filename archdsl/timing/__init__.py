"""Timing: rounds, which of them count, and what pooled rounds say of a budget. The standard library and numpy alone.

A *round* is one call, or as many as last long enough to be timed. A round is *undisturbed* where the machine did
nothing else that it could have waited for (`disturbance.py`); statistics are taken over undisturbed rounds, with an
interval (`estimate.py`), and a budget is judged by the interval (`verdict.py`).
"""
