"""What runs inside a target: the runner's supervisor, its stems and workers. Standard library only, Python 3.8+."""
