"""What a document may say: its nodes, its header, its canonical form, and overrides."""
