"""Optuna as the engine: what it is asked and told, where it is kept, and how machines share it."""
