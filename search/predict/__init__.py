"""Models of what was not measured or trained yet, fitted to what was."""
