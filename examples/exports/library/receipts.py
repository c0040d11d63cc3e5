"""What a member gets to take home."""

from __future__ import annotations

from library.loans import Loan


def receipt(loans: list[Loan], fees: dict[str, int]) -> str:
    """Return the text of a receipt: a line for each book, and the sum of what is owed."""
    books = [
        f"{loan.book:<28} due {loan.due:%d.%m.%Y}  {fees.get(loan.book, 0) / 100:>6.2f}"
        for loan in sorted(loans, key=lambda loan: loan.due)
    ]
    total = f"{'to pay':<45}{sum(fees.values()) / 100:>6.2f}"
    return "\n".join(["LIBRARY RECEIPT", "", *books, "", total, ""])
