"""Write the orders that the rest of the workflow is about."""

from pathlib import Path

from FaaSr_py.client.py_client_stubs import faasr_log, faasr_put_file

ORDERS = [("apple", 3, 0.5), ("bread", 1, 2.25), ("apple", 1, 0.5)]


def initialize(folder: str) -> None:
    Path("orders.csv").write_text("".join(f"{name},{amount},{price}\n" for name, amount, price in ORDERS))
    faasr_put_file(local_file="orders.csv", remote_file="orders.csv", remote_folder=folder)
    faasr_log(f"{len(ORDERS)} orders written")
