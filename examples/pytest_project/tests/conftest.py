import pytest
from tally import Ledger


@pytest.fixture
def journey():
    """Three people, two payments."""
    ledger = Ledger()
    ledger.pay("ada", 3000, "ada", "bob", "eve")
    ledger.pay("bob", 900, "bob", "eve")
    return ledger
