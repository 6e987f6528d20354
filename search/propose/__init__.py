"""What to try next, with Optuna as the engine: the only room that imports it."""
