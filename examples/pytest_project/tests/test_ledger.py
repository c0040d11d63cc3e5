import os
import unittest

import pytest
from tally import Ledger, LedgerError


def test_balances(journey):
    assert journey.balances() == {"ada": 2000, "bob": -550, "eve": -1450}


def test_balances_add_up(journey):
    assert sum(journey.balances().values()) == 0


def test_a_saved_ledger_is_the_same(journey, tmp_path):
    path = tmp_path / "journey.txt"
    journey.save(path)
    assert Ledger.load(path).entries == journey.entries


@pytest.mark.parametrize("line", ["ada", "ada 12", "ada twelve bob", ""])
def test_a_wrong_line_is_told(line, tmp_path):
    path = tmp_path / "journey.txt"
    path.write_text(f"ada 1 bob\n{line}\n", encoding="utf-8")
    with pytest.raises(LedgerError, match=r"journey\.txt:2: expected 'PAYER CENTS PERSON"):
        Ledger.load(path)


@pytest.mark.skipif(os.name == "nt", reason="file modes are another matter there")
def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Ledger.load(tmp_path / "none.txt")


class PaymentTest(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger()

    def test_nothing_is_no_payment(self):
        with self.assertRaises(ValueError):
            self.ledger.pay("ada", 0, "bob")

    def test_a_payment_for_oneself_changes_nothing(self):
        self.ledger.pay("ada", 100, "ada")
        self.assertEqual(self.ledger.balances(), {"ada": 0})
