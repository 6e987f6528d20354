"""What executes a network: one file per runtime, behind one interface (`runtime.py`), chosen by name (`by_name.py`)."""
