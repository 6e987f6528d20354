"""Any network in the table of a run: measured and trained as the run's own networks were."""
