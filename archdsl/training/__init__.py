"""Training: one recipe and one loop, what it tells while it is under way, and how long it takes."""
