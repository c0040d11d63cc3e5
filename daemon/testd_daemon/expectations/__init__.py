"""Expectations of cases: made from what was recorded, and put right by what a run of them gave. Pure; in the client."""
