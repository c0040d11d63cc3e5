"""A root as pages: every call once, callers first, whatever its depth; and the entry that stands for it."""

from __future__ import annotations

import itertools
import json
import zlib

from testd import traced
from testd.tracing import Options
from testd.tracing.documents import document
from testd.tracing.sending.pages import pages
from testd.tracing.sinks import Installed


@traced
def child(x, noise=""):
    return 2 * x


@traced
def parent(xs, noise=""):
    return [child(x, noise) for x in xs]


@traced
def down(n):
    return down(n - 1) if n else "bottom"


@traced
def boom():
    raise ValueError("bad value 42\nsecond line")


def recorded(function, *args, **limits):
    roots = []
    installed = Installed(roots.append, Options(**limits))
    try:
        function(*args)
    except ValueError:
        pass
    finally:
        installed.close()
    return roots[-1]


def unpacked(parts):
    return [json.loads(line) for line in zlib.decompress(b"".join(part[2] for part in parts)).splitlines()]


def test_one_page_has_all_calls_in_order_and_the_entry():
    root = recorded(parent, [1, 2])
    (page,) = pages(root)
    calls = unpacked([page])
    assert [(call["name"], call["input"]) for call in calls] == [
        ("parent", [[1, 2], {}]), ("child", [1, "", {}]), ("child", [2, "", {}])
    ]  # fmt: skip
    assert calls[0]["parent_id"] is None
    assert {call["parent_id"] for call in calls[1:]} == {calls[0]["id"]} == {page[0]}
    whole = document(root)
    assert [{**call, "children": []} for call in calls[1:]] == whole["children"]
    entry = page[3]
    assert (entry["name"], entry["calls"], entry["failures"], entry["successful"]) == ("parent", 3, 0, True)
    assert (entry["at"], entry["at"] + entry["duration"]) == (root.started, root.ended)


def test_a_large_root_is_cut_into_pages_of_one_stream():
    root = recorded(parent, list(range(3000)), "".join(chr(33 + n % 90) for n in range(977)) * 3)
    found = list(pages(root))
    assert [page[1] for page in found] == list(range(len(found)))
    assert [page[3] is None for page in found[:-1]] == [True] * (len(found) - 1)
    assert found[-1][3]["calls"] == 3001
    assert len(unpacked(found)) == 3001


def test_pages_are_several_where_the_text_does_not_compress():
    import hashlib

    noise = [hashlib.sha512(str(n).encode()).hexdigest() for n in range(6000)]
    found = list(pages(recorded(parent_of_texts, noise)))
    assert len(found) > 2
    assert all(len(page[2]) < 1024 * 1024 for page in found)
    assert len(unpacked(found)) == 6001


@traced
def parent_of_texts(texts):
    for text in texts:
        child(1, text)


def test_the_depth_of_calls_does_not_matter():
    root = recorded(down, 900, call_depth=1000)
    (page,) = pages(root)
    calls = unpacked([page])
    assert len(calls) == 901
    assert all(call["parent_id"] == above["id"] for above, call in itertools.pairwise(calls))


def test_an_error_is_one_line_of_the_entry():
    entry = next(iter(pages(recorded(boom))))[3]
    assert (entry["successful"], entry["error"], entry["failures"]) == (False, "ValueError: bad value 42", 1)


def test_what_limits_left_out_is_counted():
    entry = list(pages(recorded(parent, list(range(20)), calls=6)))[-1][3]
    assert (entry["calls"], entry["cut"]) == (6, 15)
