from datetime import date

from library.loans import Loan
from library.receipts import receipt

from testd.assertions import snapshot

LOANS = [
    Loan("ada", "Ulysses", date(2024, 3, 10)),
    Loan("ada", "Emma", date(2024, 2, 29)),
]


def a_receipt_lists_what_is_due_first():
    snapshot(receipt(LOANS, {}))


def a_receipt_sums_the_fees():
    snapshot(receipt(LOANS, {"Emma": 95, "Ulysses": 10}))
