import json
import subprocess
from pathlib import Path

import msgspec
import pytest

from interpreters import found
from testd_protocol import directions, framing, messages
from testd_protocol.examples import EXAMPLES, minimal
from testd_protocol.vectors import vectors

HERE = Path(__file__).parent
FILE = HERE / "vectors.jsonl"
RUNNERS = HERE.parents[1] / "runners"
CHECKED_IN = {vector["name"]: vector for vector in map(json.loads, FILE.read_text(encoding="utf-8").splitlines())}
ROUTES = [(direction, message) for direction in directions.DIRECTIONS for message in directions.members(direction)]


def test_the_checked_in_vectors_are_what_msgspec_writes():
    made = {vector.name: msgspec.to_builtins(vector) for vector in vectors()}
    assert sorted(made) == sorted(CHECKED_IN), "run: python -m testd_protocol.vectors > tests/protocol/vectors.jsonl"
    for name, vector in made.items():
        assert json.loads(json.dumps(vector)) == CHECKED_IN[name], name


@pytest.mark.parametrize(("direction", "message"), ROUTES, ids=lambda value: getattr(value, "__name__", None))
def test_every_message_of_every_direction_is_decoded_equal(direction, message):
    decoder = framing.decoder(getattr(messages, direction.union))
    full = EXAMPLES[message.__name__]
    for form, expected in (("full", full), ("minimal", minimal(full))):
        vector = CHECKED_IN[f"{message.__name__}/{form}"]
        assert direction.route in vector["routes"]
        payload = bytes.fromhex(vector["hex"])
        assert framing.decode(payload, decoder) == expected
        assert framing.encode(expected) == framing.frame(payload)


def structs(value):
    """Yield every struct inside of a value, the value included."""
    if isinstance(value, list):
        for item in value:
            yield from structs(item)
    elif isinstance(value, msgspec.Struct):
        yield value
        for field in msgspec.structs.fields(value):
            yield from structs(getattr(value, field.name))


def test_every_field_differs_from_its_default_somewhere():
    everything = list(structs(list(EXAMPLES.values())))
    for kind in {type(value) for value in everything}:
        for field in msgspec.structs.fields(kind):
            default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            shown = [getattr(value, field.name) for value in everything if type(value) is kind]
            assert field.required or any(value != default for value in shown), f"{kind.__name__}.{field.name}"


def test_malformed_bytes_are_refused_by_msgspec_too():
    refused = [vector for name, vector in CHECKED_IN.items() if name.startswith("malformed/")]
    decoder = framing.decoder(messages.RunnerMessage)
    for vector in refused:
        data = bytes.fromhex(vector["hex"])
        if "frame" in vector["name"]:
            buffer = framing.FrameBuffer()
            buffer.feed(data)
            with pytest.raises(framing.FrameError):
                buffer.frames()
        else:
            with pytest.raises(framing.ProtocolError):
                framing.decode(data, decoder)
    assert len(refused) >= 15


@pytest.mark.parametrize("version", found())
def test_the_standard_library_side_passes_on(version):
    command = [found()[version], "-I", str(HERE / "stdlib_side.py"), str(RUNNERS), str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == f"{version} {len(CHECKED_IN)}", done.stdout + done.stderr
    assert done.returncode == 0
