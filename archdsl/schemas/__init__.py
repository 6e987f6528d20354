"""The JSON Schemas of the documents, as `archdsl schema` prints them."""
