"""Which code looks at the clock: seen in how it was compiled."""

import pytest

from testd.runner.clocks import looks_at_clock

CLOCKS = (
    "import time\nbegan = time.time()",
    "import datetime\nclass C:\n    now = datetime.datetime.now(datetime.timezone.utc)",
    "from time import perf_counter\nbegan = perf_counter()",
    "from time import time\nbegan = time()",
    "import pytest, datetime\n@pytest.mark.skipif(datetime.date.today().year > 2030, reason='late')\ndef test(): pass",
)
NONE = (
    "import time\ndef test():\n    began = time.time()",
    "import time\ntime.sleep(0)",
    "import datetime\nnoon = datetime.time(12, 0)",
    "from datetime import time\nclass C(time):\n    read = time.fromisoformat\nnoon = time(12)",
    "import time\nclock = time.perf_counter",
)


@pytest.mark.parametrize("text", CLOCKS)
def test_a_clock_that_a_module_looks_at_is_seen(text: str):
    assert looks_at_clock(compile(text, "module.py", "exec"), everywhere=False)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_clock_is_not_taken_for_one(text: str):
    assert not looks_at_clock(compile(text, "module.py", "exec"), everywhere=False)


def test_functions_count_where_they_are_called_early():
    assert looks_at_clock(compile(NONE[0], "module.py", "exec"), everywhere=True)
