"""Whether a document holds: its draft, who reads whom, the shapes that flow, and every problem with its remedy."""
