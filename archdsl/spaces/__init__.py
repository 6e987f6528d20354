"""Search spaces: variables, expressions and constraints; resolving, sampling and enumerating their points."""
