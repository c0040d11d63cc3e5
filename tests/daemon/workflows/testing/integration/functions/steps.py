"""The functions of the workflow: files put, got, listed and deleted, ranks, joins, conditions both ways."""

from pathlib import Path

from FaaSr_py.client.py_client_stubs import (
    faasr_delete_file,
    faasr_get_file,
    faasr_get_folder_list,
    faasr_invocation_id,
    faasr_log,
    faasr_put_file,
    faasr_rank,
)


def put(folder, name, text):
    Path(name).write_text(text)
    faasr_put_file(local_file=name, remote_file=name, remote_folder=folder)


def get(folder, name):
    faasr_get_file(local_file=name, remote_file=name, remote_folder=folder)
    return Path(name).read_text()


def create_input(folder):
    for number in (1, 2, 3):
        put(folder, f"input{number}.txt", f"Test input{number}")


def api(folder, suffix, deletes):
    """Use the whole interface. Deletes one of the inputs, which the test of `create-input` looks for."""
    names = [Path(key).name for key in faasr_get_folder_list(prefix=f"{folder}/input")]
    put(folder, f"output1-{suffix}.txt", get(folder, "input2.txt").upper())
    put(folder, f"output2-{suffix}.txt", get(folder, "input3.txt")[::-1])
    if deletes:
        faasr_delete_file(remote_file="input1.txt", remote_folder=folder)
    faasr_log(f"{len(names)} inputs, invocation {faasr_invocation_id()}")


def sync(folder, value):
    outputs = [key for key in faasr_get_folder_list(prefix=folder) if "output" in key]
    faasr_log(f"{len(outputs)} outputs")
    return value


def rank(folder):
    own = faasr_rank()
    put(folder, f"rank{own['rank']}.txt", f"rank {own['rank']} of {own['max_rank']}")


def leave(folder, name):
    put(folder, name, name)
