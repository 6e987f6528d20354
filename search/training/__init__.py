"""Short training: its recipe, what it tells while it is under way, and how long it takes."""
