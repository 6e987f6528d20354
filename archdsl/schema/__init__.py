"""What a document may say, and reading it."""
