"""Orders: what they cost, and what has to happen for one."""

import uuid
from datetime import datetime, timezone

from shop import payments, stock


def discount(cents, amount):
    """Return what a position costs: from ten pieces on a tenth less."""
    total = cents * amount
    return total - total // 10 if amount >= 10 else total


def total(cart):
    """Return what a cart costs, in cents."""
    return sum(discount(stock.price_of(article), amount) for article, amount in cart.items())


def place(customer, cart):
    """Order what is in a cart: it is paid for and taken out of the stock. Returns the order."""
    cents = total(cart)
    payment = payments.charge(customer, cents)
    left = {article: stock.take(article, amount) for article, amount in cart.items()}
    return {
        "order": str(uuid.uuid4()),
        "at": datetime.now(timezone.utc),
        "customer": customer,
        "cents": cents,
        "payment": payment["id"],
        "left": left,
    }
