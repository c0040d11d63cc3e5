"""The parts of the exports suite: finding files, importing them, calling tests, saying what failed. Runs in targets."""
