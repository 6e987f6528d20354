"""The search tool: from a space and a budget to the backbone that keeps it."""
