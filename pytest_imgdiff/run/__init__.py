"""One run: its pairs, its baselines, its journal and its end."""
