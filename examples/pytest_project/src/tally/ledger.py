"""The ledger: entries in a text file, one a line."""

from dataclasses import dataclass
from pathlib import Path

from tally.split import split


class LedgerError(ValueError):
    """A line of a ledger file is not an entry: file, line number, and what it should look like."""


@dataclass(frozen=True)
class Entry:
    """Somebody paid something for some people."""

    payer: str
    cents: int
    people: tuple[str, ...]


class Ledger:
    """Entries, and what follows from them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def pay(self, payer: str, cents: int, *people: str) -> None:
        """Record that `payer` paid `cents` for `people`."""
        if cents <= 0:
            raise ValueError(f"a payment must be more than nothing, not {cents}")
        self.entries.append(Entry(payer, cents, people))

    def balances(self) -> dict[str, int]:
        """Return what each person is owed (or, below zero, owes)."""
        totals: dict[str, int] = {}
        for entry in self.entries:
            totals[entry.payer] = totals.get(entry.payer, 0) + entry.cents
            for person, cents in split(entry.cents, entry.people).items():
                totals[person] = totals.get(person, 0) - cents
        return totals

    def save(self, path: Path) -> None:
        """Write the entries: payer, cents and people, separated by blanks."""
        lines = [" ".join([entry.payer, str(entry.cents), *entry.people]) for entry in self.entries]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Ledger":
        """Read what `save` wrote."""
        ledger = cls()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = line.split()
            if len(words) < 3 or not words[1].isdigit():
                raise LedgerError(f"{path}:{number}: expected 'PAYER CENTS PERSON…', found {line!r}")
            ledger.pay(words[0], int(words[1]), *words[2:])
        return ledger
