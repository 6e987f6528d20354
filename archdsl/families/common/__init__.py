"""What families share: the contract of a part and its fields, without torch; layers, windows and tables, with it."""
