"""Suites from other systems, and for them. Pure; in the client."""
