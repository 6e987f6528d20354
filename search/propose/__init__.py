"""What to try next. The only room that knows Optuna; it imports no torch."""
