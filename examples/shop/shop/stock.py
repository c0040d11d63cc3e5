"""What is in stock, in a database."""

import os
import sqlite3


class OutOfStock(Exception):
    """There is not enough of it."""


def connect():
    """Open the database; one in memory where none is named."""
    database = sqlite3.connect(os.environ.get("SHOP_DATABASE", ":memory:"))
    database.execute("CREATE TABLE IF NOT EXISTS stock (article TEXT PRIMARY KEY, price INTEGER, amount INTEGER)")
    return database


def price_of(article):
    """Return the price of an article in cents."""
    with connect() as database:
        found = database.execute("SELECT price FROM stock WHERE article = ?", (article,)).fetchone()
    if found is None:
        raise OutOfStock(f"there is no article {article!r}")
    return found[0]


def take(article, amount):
    """Take articles out of the stock. Returns how many are left."""
    with connect() as database:
        found = database.execute("SELECT amount FROM stock WHERE article = ?", (article,)).fetchone()
        if found is None or found[0] < amount:
            raise OutOfStock(f"{amount} of {article} are not in stock")
        database.execute("UPDATE stock SET amount = amount - ? WHERE article = ?", (amount, article))
    return found[0] - amount
