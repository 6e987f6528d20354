"""Exit codes beside 0: what was asked failed, the command line is wrong, the user interrupted."""

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130
