"""`throws`: as a call, as a block, and awaited."""

from __future__ import annotations

import asyncio
import re

import pytest

from testd.assertions import throws


def _bad():
    raise ValueError("bad input: 3")


async def _async_bad():
    await asyncio.sleep(0)
    raise ValueError("bad input: 3")


async def _fine():
    return 5


def test_a_call_returns_what_was_raised():
    error = throws(_bad, ValueError, r"input: \d")
    assert isinstance(error, ValueError)
    assert throws(_bad).args == ("bad input: 3",)
    assert throws(_bad, (KeyError, ValueError), match=lambda exc: exc.args[0].endswith("3")) is not None
    assert throws(_bad, ValueError, re.compile("BAD", re.IGNORECASE)) is not None


def test_a_block():
    with throws(ValueError, match="bad") as caught:
        _bad()
    assert str(caught.exception) == "bad input: 3"
    with throws((KeyError, ValueError)):
        _bad()


def test_nothing_raised_fails_and_says_what_came_instead():
    with pytest.raises(AssertionError, match=r"^nothing was raised, it returned 3, expected KeyError or ValueError$"):
        throws(lambda: 3, (KeyError, ValueError))
    with pytest.raises(AssertionError, match=r"^why: nothing was raised, expected ValueError$"), throws(
        ValueError, message="why"
    ):
        pass


def test_another_exception_passes_through():
    with pytest.raises(ValueError, match="bad input"):
        throws(_bad, KeyError)
    with pytest.raises(ValueError, match="bad input"), throws(KeyError):
        _bad()
    with pytest.raises(KeyboardInterrupt):
        throws(_interrupt)


def _interrupt():
    raise KeyboardInterrupt


def test_a_text_that_does_not_match_fails_with_both_and_keeps_the_cause():
    with pytest.raises(AssertionError) as caught:
        throws(_bad, ValueError, "other")
    assert str(caught.value).splitlines() == [
        "the exception does not match",
        "  expected: a text in which 'other' is found",
        "  actual:   ValueError('bad input: 3')",
    ]
    assert isinstance(caught.value.__cause__, ValueError)


def test_coroutines_are_awaited():
    async def main():
        assert str(await throws(_async_bad, ValueError, "bad")) == "bad input: 3"
        assert await throws(_async_bad(), ValueError)
        async with throws(ValueError) as caught:
            await _async_bad()
        assert caught.exception is not None
        with pytest.raises(AssertionError, match="nothing was raised, it returned 5, expected KeyError"):
            await throws(_fine, KeyError)
        with pytest.raises(ValueError, match="bad"):
            await throws(_async_bad, KeyError)

    asyncio.run(main())


@pytest.mark.parametrize("arguments", [(3,), (_bad, "ValueError"), (_bad, int), (ValueError, "bad")])
def test_wrong_use_is_told(arguments):
    with pytest.raises(TypeError, match=r"throws|is no exception type"):
        throws(*arguments)
