"""The embedded store's process: moto's S3 behind HTTP, with a journal. Imports nothing of the agent."""
