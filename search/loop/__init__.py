"""The loop, which alone knows all rooms: `session` is a search from its settings to its winner, `trials` its trials."""
