"""A program that has a run file carried out, and knows nothing of testd but its wire: the standard library alone.

    python raw_client.py SOCKET WORKSPACE RUN_FILE

Prints each test with its verdict, and exits with the run's status. docs/functions.md tells what it sends.
"""

import os
import socket
import struct
import sys


def pack(value):
    """Encode what a request is made of, as MessagePack."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return struct.pack(">Bq", 0xD3, value)
    if isinstance(value, str):
        data = value.encode()
        return struct.pack(">BI", 0xDB, len(data)) + data
    if isinstance(value, list):
        return struct.pack(">BI", 0xDD, len(value)) + b"".join(map(pack, value))
    pairs = b"".join(pack(key) + pack(each) for key, each in value.items())
    return struct.pack(">BI", 0xDF, len(value)) + pairs


def unpack(data, at=0):
    """Decode the value at a place; return it, and where it ends."""
    first, at = data[at], at + 1
    if first < 0x80 or first >= 0xE0:
        return (first if first < 0x80 else first - 256), at
    if first < 0xC0:
        kind, size = ("map", "array", "text", "text")[(first >> 4) - 8], first & (0x1F if first >= 0xA0 else 0x0F)
        return sized(kind, size, data, at)
    if first in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[first], at
    if first in NUMBERS:
        size = struct.calcsize(NUMBERS[first])
        return struct.unpack_from(NUMBERS[first], data, at)[0], at + size
    kind, form = SIZED[first]
    return sized(kind, struct.unpack_from(form, data, at)[0], data, at + struct.calcsize(form))


NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i",
           0xD3: ">q"}  # fmt: skip
SIZED = {0xC4: ("data", ">B"), 0xC5: ("data", ">H"), 0xC6: ("data", ">I"), 0xD9: ("text", ">B"), 0xDA: ("text", ">H"),
         0xDB: ("text", ">I"), 0xDC: ("array", ">H"), 0xDD: ("array", ">I"), 0xDE: ("map", ">H"),
         0xDF: ("map", ">I")}  # fmt: skip


def sized(kind, size, data, at):
    if kind in ("text", "data"):
        piece = data[at : at + size]
        return (piece.decode() if kind == "text" else piece), at + size
    found = []
    for _ in range(size * (2 if kind == "map" else 1)):
        value, at = unpack(data, at)
        found.append(value)
    return (dict(zip(found[::2], found[1::2], strict=True)) if kind == "map" else found), at


def send(connection, **message):
    data = pack(message)
    connection.sendall(struct.pack(">I", len(data)) + data)


def receive(stream):
    (size,) = struct.unpack(">I", stream.read(4))
    return unpack(stream.read(size))[0]


def main(path, workspace, run_file):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    stream = connection.makefile("rb")
    send(connection, type="Hello", pid=os.getpid(), version="")
    welcome = receive(stream)
    assert welcome["type"] == "Welcome", welcome
    request = {"workspace": workspace, "cwd": workspace, "paths": [run_file], "kind": "cases", "run_file": True}
    send(connection, type="Submit", request=request, key=os.urandom(16).hex())
    while True:
        message = receive(stream)
        if message["type"] == "Fault":
            sys.exit(message["message"])
        body = message.get("body", {})
        for test, _, verdict, *_ in body.get("rows", []):
            print(test, verdict)
        if body.get("type") == "RunCompleted":
            return body["exit_code"]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
