"""Say whether the totals are sound: what comes next depends on it."""

from pathlib import Path

from FaaSr_py.client.py_client_stubs import faasr_get_file, faasr_log


def validate(folder: str, limit: float) -> bool:
    faasr_get_file(local_file="totals.csv", remote_file="totals.csv", remote_folder=folder)
    total = sum(float(line.split(",")[1]) for line in Path("totals.csv").read_text().splitlines())
    faasr_log(f"{total:.2f} of at most {limit:.2f}")
    return total <= limit
