"""What a search leaves behind: its folder, its front, its result, its clock, and the cache across runs."""
