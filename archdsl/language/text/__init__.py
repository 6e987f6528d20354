"""JSON as text: read with every position, written in one form."""
