"""The processes that measure and train, and what they may take of the machine."""
