"""Everything that a person reads, drawn with rich: the only package that imports it."""
