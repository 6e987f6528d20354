"""Zero-cost scores: what a network at initialisation tells of its accuracy, without training."""
