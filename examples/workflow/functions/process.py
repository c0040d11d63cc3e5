"""Add the orders up, and clear them away."""

from pathlib import Path

from FaaSr_py.client.py_client_stubs import faasr_delete_file, faasr_get_file, faasr_put_file


def process(folder: str) -> None:
    faasr_get_file(local_file="orders.csv", remote_file="orders.csv", remote_folder=folder)
    totals = {}
    for line in Path("orders.csv").read_text().splitlines():
        name, amount, price = line.split(",")
        totals[name] = totals.get(name, 0) + int(amount) * float(price)
    Path("totals.csv").write_text("".join(f"{name},{total:.2f}\n" for name, total in sorted(totals.items())))
    faasr_put_file(local_file="totals.csv", remote_file="totals.csv", remote_folder=folder)
    faasr_delete_file(remote_file="orders.csv", remote_folder=folder)
