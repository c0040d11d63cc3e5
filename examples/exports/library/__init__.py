"""A small lending library: members borrow books, return them, and pay for being late."""
