from datetime import date

from library.loans import Desk, Loan, LoanError

from testd.assertions import conforms, deep_equal, throws

TODAY = date(2024, 2, 1)


def _desk(*lent: str) -> Desk:
    desk = Desk({"Emma", "Ulysses", "Walden", "Dracula", "Persuasion"})
    for book in lent:
        desk.lend(book, "ada", TODAY)
    return desk


def a_loan_lasts_four_weeks():
    assert _desk().lend("Emma", "ada", TODAY).due == date(2024, 2, 29)


def a_book_can_be_lent_again_once_it_is_back():
    desk = _desk("Emma")
    deep_equal(Loan("ada", "Emma", date(2024, 2, 29)), desk.take_back("Emma"))
    desk.lend("Emma", "bob", TODAY)
    assert desk.loans["Emma"].member == "bob"


def a_book_that_is_out_says_with_whom_and_until_when():
    throws(lambda: _desk("Emma").lend("Emma", "bob", TODAY), LoanError, "is with ada until 2024-02-29")


def a_member_cannot_hold_more_than_three_books():
    desk = _desk("Emma", "Ulysses", "Walden")
    with throws(LoanError, match="ada has 3 books already"):
        desk.lend("Dracula", "ada", TODAY)
    desk.lend("Dracula", "bob", TODAY)


def what_the_library_has_not_it_cannot_lend_or_take_back():
    throws(lambda: _desk().lend("Moby-Dick", "ada", TODAY), LoanError, "not in the library")
    throws(lambda: _desk().take_back("Emma"), LoanError, "was not lent")


def the_desk_knows_each_loan_by_its_book():
    conforms(_desk("Emma", "Walden").loans, {"Emma": Loan, "Walden": Loan})
