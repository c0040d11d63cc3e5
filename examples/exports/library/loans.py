"""Who has which book, until when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

PERIOD = timedelta(days=28)
MOST = 3


class LoanError(Exception):
    """A book cannot be lent, or was not."""


@dataclass(frozen=True)
class Loan:
    """One book with one member."""

    member: str
    book: str
    due: date


@dataclass
class Desk:
    """The counter at which books go out and come back."""

    shelves: set[str]
    loans: dict[str, Loan] = field(default_factory=dict)

    def lend(self, book: str, member: str, today: date) -> Loan:
        """Hand a book to a member; raises LoanError where that cannot be."""
        if book not in self.shelves:
            raise LoanError(f"{book!r} is not in the library")
        if book in self.loans:
            raise LoanError(f"{book!r} is with {self.loans[book].member} until {self.loans[book].due}")
        if sum(loan.member == member for loan in self.loans.values()) >= MOST:
            raise LoanError(f"{member} has {MOST} books already")
        self.loans[book] = loan = Loan(member, book, today + PERIOD)
        return loan

    def take_back(self, book: str) -> Loan:
        """Take a book back; raises LoanError if nobody has it."""
        try:
            return self.loans.pop(book)
        except KeyError:
            raise LoanError(f"{book!r} was not lent") from None
