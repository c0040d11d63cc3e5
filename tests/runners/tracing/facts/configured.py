"""Modules that are traced by configuration (acceptance fact 24)."""

import importlib
import os
import sys
import tempfile
import textwrap

from shop import refused

from testd.tracing import execute, record_roots
from testd.tracing.modules import trace_modules
from testd.tracing.selection import SelectionError

FILES = {
    "database": """
        def connect(url): return _open(url)
        def _open(url): return url
        class Table:
            def __init__(self, name): self.name = name
            def rows(self): return [connect(self.name)]
    """,
    "late": """
        from database import connect
        def use(): return connect("late")
        other = 5
    """,
    "decorated": """
        from testd import traced
        from database import Table
        @traced(name="own")
        def function(): return 1
    """,
    "broken": "raise KeyError('broken on purpose')",
    "needs": "import broken",
}


class Modules:
    """New modules with these files, traced as a table says, until the block ends."""

    def __init__(self, **table):
        self._table = table

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        for name, text in FILES.items():
            with open(os.path.join(self._folder.name, name + ".py"), "w") as file:
                file.write(textwrap.dedent(text))
        sys.path.insert(0, self._folder.name)
        importlib.invalidate_caches()
        self.traced = trace_modules(self._table)
        return self.traced

    def __exit__(self, *_):
        self.traced.remove()
        sys.path.remove(self._folder.name)
        self._folder.cleanup()
        for name in FILES:
            sys.modules.pop(name, None)


def names(executed):
    return [executed["name"], *map(names, executed["children"])]


def roots_of(*calls):
    with record_roots() as roots:
        for call in calls:
            call()
    return [names(root) for root in roots]


def fact_all_that_a_module_defines_is_traced():
    with Modules(modules={"database": True, "late": True}):
        import database
        import late

        assert roots_of(late.use) == [["use", ["connect", ["_open"]]]]
        assert roots_of(lambda: database.Table("x").rows()) == [["Table"], ["Table.rows", ["connect", ["_open"]]]]


def fact_it_makes_no_difference_who_imported_it_when():
    with Modules(modules={"nothing": True}):
        import late

        traced = trace_modules({"modules": ["database"]})
        try:
            assert roots_of(late.use) == [["connect", ["_open"]]]
        finally:
            traced.remove()


def fact_a_list_chooses():
    entry = {"name": "Table.rows", "description": "all rows", "config": {"copy_output": False}}
    with Modules(modules={"database": ["connect", entry]}):
        import database

        executed = execute(lambda: database.Table("x").rows()).executed
        assert names(executed) == ["<lambda>", ["Table.rows", ["connect"]]]
        assert executed["children"][0]["description"] == "all rows"
        assert executed["children"][0]["output"] is None


def fact_patterns_choose():
    with Modules(modules=["data*", "la*"], exclude=["_*", "database:Table.*"]):
        import database
        import late

        assert roots_of(late.use, lambda: database.Table("x").rows()) == [["use", ["connect"]], ["Table"], ["connect"]]
    with Modules(modules={"*a*": True, "late": False}, include=["conn*"]):
        import late

        assert roots_of(late.use) == [["connect"]]


def fact_nothing_is_recorded_twice():
    with Modules(modules={"decorated": True}):
        import decorated

        assert roots_of(decorated.function) == [["own"]]


def fact_what_is_defined_elsewhere_is_not_traced():
    with Modules(modules={"decorated": True}):
        import decorated

        assert roots_of(lambda: decorated.Table("x")) == []


def fact_the_loader_stays_what_it_is():
    with Modules(modules=["database"]):
        import database

        assert type(database.__loader__) is importlib.machinery.SourceFileLoader
        assert vars(database.__loader__).keys() == {"name", "path"}
        assert database.__spec__.loader is database.__loader__
        importlib.reload(database)
        assert roots_of(lambda: database.connect(1)) == [["connect", ["_open"]]]


def fact_problems_are_told():
    with Modules(modules={"late": ["zzz", "other", "use"], "missing": True, "broken": ["x"]}) as traced:
        problems = traced.load()
        assert problems[0].startswith("Invalid callable (zzz) specified inside module (late) in config file")
        assert problems[1].startswith("Invalid callable (other) specified inside module (late)")
        assert problems[2].startswith("Could not import module missing, which tool.testd.trace.modules names")
        assert "KeyError: 'broken on purpose'" in problems[3]
        assert len(traced.load()) == 4, "each is told once"


def fact_an_import_that_fails_does_so_without_us():
    with Modules(modules=["broken", "needs"]):
        try:
            importlib.import_module("needs")
        except KeyError as error:
            files = []
            entry = error.__traceback__
            while entry is not None:
                files.append(os.path.basename(entry.tb_frame.f_code.co_filename))
                entry = entry.tb_next
    ours = [file for file in files if file == "modules.py"]
    assert ours == [] if sys.version_info >= (3, 11) else len(ours) <= 2
    assert "broken" not in sys.modules


def fact_a_table_that_cannot_be_read_is_refused():
    def told(**table):
        return refused(SelectionError, trace_modules, table)

    assert told(module=[]) == "tool.testd.trace has no key 'module'; it has modules, include, exclude"
    assert told(modules="shop") == "tool.testd.trace.modules is a list of names, or a table of true or a list for each"
    assert 'tool.testd.trace.modules."shop" is true for all' in told(modules={"shop": 1})
    assert 'modules."shop"[1] is the name of' in told(modules={"shop": ["a", 5]})
    assert "[0] has no key 'nmae'" in told(modules={"shop": [{"name": "a", "nmae": 1}]})
    assert "[0].config: traced has no setting 'x'" in told(modules={"shop": [{"name": "a", "config": {"x": 1}}]})
    assert told(include="a") == "tool.testd.trace.include is a list of patterns"
