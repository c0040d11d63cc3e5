"""What a run of a workflow took, where its time went, and how that compares with earlier runs. Pure."""
