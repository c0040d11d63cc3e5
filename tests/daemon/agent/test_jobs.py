"""How a run is cut into jobs: order, balance, boundaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testd_daemon.agent.jobs import Durations, cut, expected, useful_workers

NOTHING = Durations({})


def test_one_worker_keeps_the_order_of_collection() -> None:
    ids = ["a.py::1", "a.py::2", "b.py::1", "a.py::3"]
    assert cut(ids, range(4), 1, Durations({"b.py::1": 9.0})) == [[0, 1], [2], [3]]


def test_several_workers_begin_with_the_longest_file() -> None:
    ids = ["a.py::1", "b.py::1", "b.py::2", "c.py::1"]
    durations = Durations({"a.py::1": 0.01, "b.py::1": 0.01, "b.py::2": 0.01, "c.py::1": 0.015})
    assert cut(ids, range(4), 2, durations) == [[1, 2], [3], [0]]


def test_equal_files_stay_in_the_order_of_collection() -> None:
    ids = [f"{name}.py::1" for name in "dbca"]
    assert cut(ids, range(4), 2, NOTHING) == [[0], [1], [2], [3]]


def test_a_file_that_dominates_is_cut_at_functions_and_classes_only() -> None:
    ids = [f"a.py::test_{n}[{p}]" for n in range(4) for p in range(3)] + ["a.py::C::one", "a.py::C::two"]
    durations = Durations(dict.fromkeys(ids, 0.02))
    found = cut(ids, range(len(ids)), 2, durations)
    assert [index for job in found for index in job] == list(range(len(ids)))
    starts = {job[0] for job in found}
    assert starts <= {0, 3, 6, 9, 12}
    assert len(found) > 2


def test_a_function_that_dominates_is_cut_between_its_parameters() -> None:
    ids = [f"a.py::test[{n}]" for n in range(1000)]
    found = cut(ids, range(1000), 2, Durations(dict.fromkeys(ids, 0.01)))
    assert [index for job in found for index in job] == list(range(1000))
    lengths = [len(job) for job in found]
    assert lengths[0] > lengths[-1], "the early pieces are longer than the late ones"
    assert lengths[0] <= 260


def test_never_split_keeps_files_whole() -> None:
    ids = [f"a.py::test[{n}]" for n in range(1000)] + ["b.py::x"]
    assert len(cut(ids, range(1001), 2, Durations(dict.fromkeys(ids, 0.01)), split=False)) == 2


def test_a_quick_file_is_not_cut_however_many_tests_it_has() -> None:
    ids = [f"a.py::test[{n}]" for n in range(18)]
    assert len(cut(ids, range(18), 2, Durations(dict.fromkeys(ids, 0.001)))) == 1


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["f", "g", "C::m"]), st.floats(0, 2)), max_size=60),
    st.integers(1, 8),
)
def test_every_test_is_in_exactly_one_job_and_jobs_keep_to_a_file(
    tests: list[tuple[str, str, float]], workers: int
) -> None:
    ids = [f"{file}.py::{name}[{n}]" for n, (file, name, _) in enumerate(tests)]
    durations = Durations({test: seconds for test, (_, _, seconds) in zip(ids, tests, strict=True)})
    found = cut(ids, range(len(ids)), workers, durations)
    assert sorted(index for job in found for index in job) == list(range(len(ids)))
    for job in found:
        assert job == sorted(job)
        assert len({ids[index].partition("::")[0] for index in job}) == 1


@pytest.mark.parametrize(("seconds", "workers"), [(0.005, 1), (0.08, 2), (100.0, 4)])
def test_workers_are_worth_their_start(seconds: float, workers: int) -> None:
    ids = [f"a.py::{n}" for n in range(10)]
    assert useful_workers(4, ids, Durations(dict.fromkeys(ids, seconds / 10))) == workers


def test_no_more_workers_than_tests() -> None:
    assert useful_workers(8, ["a.py::1"], Durations({"a.py::1": 100.0})) == 1


def test_an_unknown_test_takes_as_long_as_a_typical_one() -> None:
    assert Durations({"a": 0.2, "b": 0.4}).of("c") == pytest.approx(0.3)


def test_expected_is_the_time_of_the_busiest_worker() -> None:
    ids = ["a.py::1", "b.py::1", "c.py::1"]
    durations = Durations({"a.py::1": 3.0, "b.py::1": 2.0, "c.py::1": 2.0})
    assert expected([[0], [1], [2]], ids, 2, durations) == 4.0
