"""How a function of a workflow is found, given its API and called. Runs in stems and workers; standard library only."""
