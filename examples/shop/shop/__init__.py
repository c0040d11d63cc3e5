"""A small shop: orders, a database for the stock, and payments by HTTP."""
