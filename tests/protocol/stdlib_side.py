"""The vectors against the standard-library codec. Runs on every interpreter, without pytest, from Python 3.8 on.

    python stdlib_side.py FOLDER-WITH-testd vectors.jsonl

Prints `VERSION COUNT` and ends with 0, or a line for each vector that fails and 1.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])

from testd import framing, msgpack


def from_json(value):
    """Undo what `testd_protocol.vectors.to_json` did."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        key, item = next(iter(value.items()))
        special = {"$float": float, "$int": int, "$hex": bytes.fromhex}.get(key)
        if special is not None:
            return special(item)
    return {key: from_json(item) for key, item in value.items()}


def same(left, right):
    """Equal, of the same types throughout, with entries in the same order; -0.0 is not 0.0, nan is nan."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right) if isinstance(left, float) else left == right


def streamed(data):
    """Return the payloads of a stream that comes byte by byte."""
    buffer, payloads = framing.FrameBuffer(), []
    for at in range(len(data)):
        buffer.feed(data[at : at + 1])
        payloads += buffer.frames()
    return payloads


def refusal(action, data, error):
    """Return what is wrong about the refusal of `data`, or nothing."""
    try:
        return f"was taken for {action(data)!r}"
    except error as refused:
        return None if str(refused) else "refused without a reason"


def check(vector):
    """Return what is wrong, or nothing."""
    name, data = vector["name"], bytes.fromhex(vector["hex"])
    if name.startswith("malformed/frame"):
        return refusal(streamed, data, framing.FrameError)
    if name.startswith("malformed/"):
        return refusal(msgpack.unpackb, data, msgpack.UnpackError)
    value = from_json(vector["value"])
    if name.startswith("frames/"):
        ok = streamed(data) == value and b"".join(map(framing.frame, value)) == data
        return None if ok else "the frames differ"
    if msgpack.packb(value) != data:
        return f"packs as {msgpack.packb(value).hex()}"
    if not same(msgpack.unpackb(data), value):
        return f"unpacks as {msgpack.unpackb(data)!r}"
    return None


def main():
    """Check every vector of the file."""
    with open(sys.argv[2], encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    wrong = [(vector["name"], problem) for vector in found for problem in [check(vector)] if problem]
    for name, problem in wrong:
        print(f"{name}: {problem[:300]}")
    print(f"{sys.version_info[0]}.{sys.version_info[1]} {len(found)}")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main())
