"""Made from the models: the JSON Schemas, and the page of all types and fields."""
