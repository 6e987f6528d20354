"""From a proposal to a trained network: the rungs of the ladder, the cheapest first."""
