"""How well each score ranks the networks of a space."""
