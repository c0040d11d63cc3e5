"""A suite of cases as a file of tests for pytest, which needs nothing of testd. Pure; in the client.

What has no counterpart there is told, and stands in the file as a comment or as a skipped test.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Callable, Iterator
from typing import Any

from testd_daemon.exchange.literals import InexpressibleError, literal

__all__ = ["Exported", "awaited", "exported"]

_Map = dict[str, Any]
_PART = '''
def part_of(expected, actual, whole_lists):
    """Return of a value what the expectation speaks of."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        known = {key: part_of(value, actual[key], whole_lists) for key, value in expected.items() if key in actual}
        return {**({} if whole_lists else {key: None for key in expected if expected[key] is None}), **known}
    if isinstance(expected, list) and isinstance(actual, (list, tuple)):
        items = [part_of(one, other, whole_lists) for one, other in zip(expected, actual)]
        return items + list(actual[len(expected):]) if whole_lists else items
    return actual
'''
_ANSWERING = '''
def answering(function, answers):
    """Return what answers calls in the place of a function; those without an answer are made."""
    numbers = itertools.count(1)

    def answer(*args, **kwargs):
        found = answers.get(next(numbers), answers.get("*", function))
        if isinstance(found, BaseException):
            raise found
        return function(*args, **kwargs) if found is function else found

    return answer
'''


class Exported:
    """What came of a suite.

    Attributes:
        source: the file.
        problems: what is not in it, one line each.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        """Keep both."""
        self.source = source
        self.problems = problems


def exported(suite: _Map, is_async: Callable[[str, str], bool] = lambda module, name: False) -> Exported:
    """Return a `TestSuite` as a file for pytest; `is_async` says whether a function of a module is to be awaited."""
    file = _File(is_async)
    names: dict[str, int] = {}
    tests = []
    for case in suite["test_cases"]:
        name = re.sub(r"\W+", "_", case["name"].lower()).strip("_") or "case"
        names[name] = names.get(name, 0) + 1
        name += f"_{names[name]}" if names[name] > 1 else ""
        tests.append(file.test(f"test_{name}", case, {**(suite.get("mocks") or {}), **(case.get("mocks") or {})}))
    head = f'"""{suite["name"]}: tests made from a suite of cases."""'.replace("\\", "\\\\")
    imports = "\n".join(f"import {name}" for name in sorted(file.imports - {"pytest"}))
    helpers = [text for name, text in (("part_of", _PART), ("answering", _ANSWERING)) if name in file.helpers]
    parts = [head, "\n".join(filter(None, (imports, "\nimport pytest" if "pytest" in file.imports else "")))]
    return Exported("\n\n".join(parts) + "\n\n" + "\n\n".join([*helpers, *tests]), file.problems)


class _File:
    """The file while tests are added."""

    def __init__(self, is_async: Callable[[str, str], bool]) -> None:
        self.imports: set[str] = set()
        self.helpers: set[str] = set()
        self.problems: list[str] = []
        self._is_async = is_async

    def test(self, name: str, case: _Map, mocks: _Map) -> str:
        """Return the source of one test."""
        lines: list[str] = []
        try:
            body = list(self._with_mocks(mocks, list(self._body(case, lines))))
        except InexpressibleError as error:
            self.imports.add("pytest")
            self.problems.append(f"{case['name']}: skipped: {error}")
            reason = f"not exported: {error}"
            return f"\n@pytest.mark.skip(reason={reason!r})\ndef {name}():\n    pass\n"
        self.problems += [f"{case['name']}: {line}" for line in lines]
        body = [*(f"# not exported: {line}" for line in lines), *body]
        return f"\ndef {name}():\n" + "".join(f"    {line}\n" for line in body)

    def _body(self, case: _Map, lacking: list[str]) -> Iterator[str]:
        meta = case["function_to_execute"].get("function_meta")
        if not meta or meta["module_name"] == "__main__":
            raise InexpressibleError("it runs code, and names no function" if not meta else "its module is __main__")
        call = self._call(meta, case["input_to_pass"])
        assertions = case.get("assertions") or []
        errors = [found for found in assertions if _about(found) == "error"]
        others = [found for found in assertions if _about(found) != "error"]
        if case.get("children") or case.get("strict"):
            lacking.append("which calls it makes")
        if errors:
            yield from self._raising(call, errors)
            return
        checks = [line for found in others for line in self._check(found, lacking)]
        yield f"result = {call}" if checks else call
        yield from checks

    def _call(self, meta: _Map, given: Any) -> str:
        module, name = meta["module_name"], meta["function_name"]
        self.imports.add(module)
        positional, keywords = ([], given) if isinstance(given, dict) else (given[:-1], given[-1])
        words = [literal(value, self.imports) for value in positional]
        named = {key: literal(value, self.imports) for key, value in keywords.items()}
        plain = all(key.isidentifier() and not keyword.iskeyword(key) for key in named)
        words += [f"{key}={value}" for key, value in named.items()] if plain else [
            "**{" + ", ".join(f"{key!r}: {value}" for key, value in named.items()) + "}"
        ]
        call = f"{module}.{name}({', '.join(words)})"
        if not self._is_async(module, name):
            return call
        self.imports.add("asyncio")
        return f"asyncio.run({call})"

    # ── assertions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _check(self, assertion: _Map, lacking: list[str]) -> Iterator[str]:
        """Yield lines that assert something of `result`."""
        target, operator = _about(assertion), assertion.get("operator")
        if assertion.get("code") or assertion.get("ignore") or target == "input":
            what = "code" if assertion.get("code") else "places that are ignored" if target == "output" else "its input"
            lacking.append(f"an assertion about {what}")
            return
        expected = assertion["object"]
        if operator == "type":
            wanted = expected if isinstance(expected, list) else [expected]
            names = [re.split(r"[.:]", name)[-1] for name in wanted]
            yield f"assert type(result).__name__ in {['NoneType' if name == 'None' else name for name in names]!r}"
            return
        yield self._compared(operator, expected, literal(expected, self.imports), assertion)

    def _compared(self, operator: Any, expected: Any, source: str, assertion: _Map) -> str:
        if operator == "matches":
            self.imports.add("re")
            return f"assert re.search({source}, result)"
        if operator == "approx":
            if isinstance(expected, (dict, list)) and any(isinstance(v, (dict, list)) for v in _values(expected)):
                raise InexpressibleError("approx of what is nested")
            self.imports.add("pytest")
            limits = {"abs": assertion.get("tolerance"), "rel": assertion.get("relative_tolerance")}
            words = "".join(f", {key}={value!r}" for key, value in limits.items() if value is not None)
            return f"assert result == pytest.approx({source}{words})"
        if operator == "contains" and isinstance(expected, list):
            return f"assert {source} in [list(result[at : at + {len(expected)}]) for at in range(len(result) + 1)]"
        if operator == "contains" and not isinstance(expected, dict):
            return f"assert {source} in result"
        if operator in ("contains", "subset"):
            self.helpers.add("part_of")
            return f"assert part_of({source}, result, {operator == 'contains'}) == {source}"
        return f"assert result == {source}"

    def _raising(self, call: str, errors: list[_Map]) -> Iterator[str]:
        """Yield lines that assert that a call raises."""
        kinds, checks = [], []
        for found in errors:
            wanted: Any = found.get("object")
            if found.get("operator") == "raises":
                wanted = {"type": wanted} if isinstance(wanted, str) else wanted
                kinds += [wanted["type"]] if "type" in wanted else []
                checks += [(key, wanted[key]) for key in ("message", "contains", "matches") if key in wanted]
            else:
                key = {"equals": "message", "contains": "contains", "matches": "matches"}.get(found["operator"])
                if key is None or found.get("ignore"):
                    raise InexpressibleError(f"{found['operator']} about an error")
                checks.append((key, wanted))
        self.imports.add("pytest")
        kind = self._error(kinds[0]) if kinds else "Exception"
        yield f"with pytest.raises({kind})" + (" as raised:" if checks else ":")
        yield f"    {call}"
        for key, wanted in checks:
            if key == "matches":
                self.imports.add("re")
            yield {
                "message": f"assert str(raised.value) == {wanted!r}",
                "contains": f"assert {wanted!r} in str(raised.value)",
                "matches": f"assert re.search({wanted!r}, str(raised.value))",
            }[key]

    def _error(self, name: str) -> str:
        module, _, kind = name.replace(":", ".").rpartition(".")
        if not module and not hasattr(builtins, kind):
            raise InexpressibleError(f"raises {name}, of which the module is not known")
        if module:
            self.imports.add(module)
        return f"{module}.{kind}" if module else kind

    # ── mocks ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _with_mocks(self, mocks: _Map, body: list[str]) -> Iterator[str]:
        """Yield a body with the functions that it mocks replaced."""
        indent = ""
        for function, calls in mocks.items():
            module, _, name = function.partition(":")
            if self._is_async(module, name):
                raise InexpressibleError(f"a mock of the coroutine function {name}")
            answers = ", ".join(
                f"{number if number != '*' else repr(number)}: {self._answer(answer)}"
                for number, answer in calls.items()
                if answer
            )
            self.imports |= {"itertools", "unittest.mock", module}
            self.helpers.add("answering")
            replaced = f"answering({module}.{name}, {{{answers}}})"
            yield f"{indent}with unittest.mock.patch({f'{module}.{name}'!r}, {replaced}):"
            indent += "    "
        yield from (indent + line for line in body)

    def _answer(self, answer: _Map) -> str:
        if answer.get("error_to_throw") or answer.get("error_type"):
            return f"{self._error(answer.get('error_type') or 'Exception')}({answer.get('error_to_throw') or ''!r})"
        return literal(answer.get("output"), self.imports)


def _about(assertion: _Map) -> str:
    return "error" if assertion.get("operator") == "raises" else assertion.get("assertion_target") or "output"


def _values(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def awaited(source: str, name: str) -> bool:
    """Tell whether a function of a module's source, by its dotted name, is a coroutine function."""
    body: list[Any] = ast.parse(source).body
    for part in name.split("."):
        found = next((node for node in body if getattr(node, "name", None) == part), None)
        if found is None:
            return False
        if isinstance(found, ast.AsyncFunctionDef):
            return True
        body = getattr(found, "body", [])
    return False
