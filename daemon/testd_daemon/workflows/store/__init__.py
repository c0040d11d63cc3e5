"""The object store of a workflow: a client for any that speaks S3, an embedded one, and what keeps runs apart.

Runs in the agent and in users' tests. boto3 is imported where a store is used first.
"""
