"""Worker processes: the parent's side, which starts and asks them, and the child's, the only room with torch."""
