"""What a search leaves behind: its folder, its front, its result, and the cache across runs."""
