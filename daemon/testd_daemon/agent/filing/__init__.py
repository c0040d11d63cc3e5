"""What comes of cases and items, kept beside the run: results of suites, and run files. Runs in the agent.

`filing.py` stands between a run and whoever it reports to, takes documents out of outcomes, and has them kept in order
by what `keeper.py` describes: `results.py` (suites, into files and posted; `ledger.py` has what came of cases until
then) or `run_files.py` (items, back into their files, and told to an endpoint; `identities.py` says whether they are
still the same). `posting.py` is one request that must not hold up anything.
"""

from testd_daemon.agent.filing.filing import Filing, Surroundings, filing_of
from testd_daemon.agent.filing.identities import Identities, Identity

__all__ = ["Filing", "Identities", "Identity", "Surroundings", "filing_of"]
