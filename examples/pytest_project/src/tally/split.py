"""Amounts in cents: share them out so that no cent is lost, and settle what is owed in few transfers."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Transfer:
    """One payment that settles a debt."""

    debtor: str
    creditor: str
    cents: int


def split(cents: int, people: Sequence[str]) -> dict[str, int]:
    """Share `cents` evenly. The cents that do not divide go to the first people, one each."""
    if not people:
        raise ValueError("nobody to share with")
    share, rest = divmod(cents, len(people))
    return {person: share + (position < rest) for position, person in enumerate(people)}


def settle(balances: dict[str, int]) -> list[Transfer]:
    """Return transfers that bring every balance to zero: at most one fewer than there are people."""
    if sum(balances.values()):
        raise ValueError(f"balances do not add up: {sum(balances.values()):+d} cents")
    debtors = [[person, -cents] for person, cents in sorted(balances.items()) if cents < 0]
    creditors = [[person, cents] for person, cents in sorted(balances.items()) if cents > 0]
    transfers = []
    while debtors and creditors:
        (debtor, owed), (creditor, due) = debtors[0], creditors[0]
        cents = min(owed, due)
        transfers.append(Transfer(debtor, creditor, cents))
        debtors[0][1] -= cents
        creditors[0][1] -= cents
        debtors = [entry for entry in debtors if entry[1]]
        creditors = [entry for entry in creditors if entry[1]]
    return transfers
