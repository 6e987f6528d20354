"""What executes a network, and the setting that a measurement holds for."""
