"""Leave a message. Two actions of the workflow call this function, with arguments of their own."""

from pathlib import Path

from FaaSr_py.client.py_client_stubs import faasr_put_file


def announce(folder: str, message: str) -> None:
    Path("message.txt").write_text(message)
    faasr_put_file(local_file="message.txt", remote_file="message.txt", remote_folder=folder)
