"""From a zoo name, a path or Python values to a document that holds: `specs` for backbones, `spaces` for spaces."""
