"""Workflows: documents, graphs, states, scheduling, stores, measures, and what users' tests import.

Nothing here is imported by a process that has no workflow at hand: some of it loads boto3.
"""
