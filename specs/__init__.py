"""Published backbones as JSON, one file each; `spaces/` holds the search spaces."""
