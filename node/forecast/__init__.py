"""How many requests next week: counts kept, exported for training, and what the forecast says."""
