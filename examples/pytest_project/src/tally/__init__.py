"""Who owes whom after a shared journey."""

from tally.ledger import Entry, Ledger, LedgerError
from tally.split import Transfer, settle, split

__all__ = ["Entry", "Ledger", "LedgerError", "Transfer", "settle", "split"]
