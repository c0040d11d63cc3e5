"""What a run looks like to its user: text for people, JSON lines for programs, JUnit XML for build servers.

Runs in the client. The modules of the quick path import the standard library's cheapest parts only: no typing, no
dataclasses, no json; rich and json are imported by those who need them, when they need them.
"""
