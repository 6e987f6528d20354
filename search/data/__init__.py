"""Images to rank networks with: what ships, and what a user brings."""
