"""The bottom lines and the pages of a watch, seen through a glass."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from testd_daemon.reports.bottom import Bottom
from testd_daemon.reports.screen import Screen
from testd_daemon.reports.terminal import Terminal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from glass import Glass


class Tube(io.StringIO):
    """A stream that ends in a glass."""

    encoding = "utf-8"

    def __init__(self, glass):
        super().__init__()
        self.glass = glass

    def write(self, text):
        self.glass.feed(text)
        return len(text)


def make(columns=20, rows=6, kind=Bottom, wide="", **settings):
    glass = Glass(columns, rows, wide)
    size = [columns, rows]
    terminal = Terminal(Tube(glass), colour=False, live=True, width=columns, size=lambda: (size[0], size[1]))
    return glass, terminal, kind(terminal, **settings), size


def line(text):
    return [(text, "")]


def test_text_goes_above_and_the_lines_stay():
    glass, terminal, bottom, _ = make()
    bottom.show("live", [line("one"), line("two")])
    terminal.write("said\n")
    assert glass.seen() == ["said", "one", "two"]
    bottom.show("live", [line("three")])
    assert glass.seen() == ["said", "three"]
    assert glass.hidden
    bottom.show("live", ())
    assert glass.seen() == ["said"]
    assert not glass.hidden
    terminal.write("more\n")
    assert glass.seen() == ["said", "more"]


def test_parts_are_below_each_other_and_the_cursor_is_in_the_last():
    glass, terminal, bottom, _ = make()
    bottom.show("prompt", [line("files: ab")], 8)
    bottom.show("live", [line("50 %")])
    assert glass.seen() == ["50 %", "files: ab"]
    assert (glass.at, glass.column, glass.hidden) == (1, 8, False)
    terminal.write("said\n")
    assert glass.seen() == ["said", "50 %", "files: ab"]
    assert (glass.at, glass.column) == (2, 8)


def test_lines_are_cut_to_the_width_and_to_the_height():
    glass, _, bottom, _ = make(columns=10, rows=4)
    bottom.show("live", [line(f"{number} {'x' * 20}") for number in range(9)])
    bottom.show("prompt", [line("prompt")])
    assert glass.seen() == ["0 xxxxxxx…", "1 xxxxxxx…", "prompt"]
    assert glass.gone == []


def test_wide_characters_are_cut_to_columns():
    glass, _, bottom, _ = make(columns=10, wide="字")
    bottom.show("live", [line("字字字字字字")])
    bottom.show("prompt", [line("ab字")], 4)
    assert glass.seen()[0].replace("\0", "") == "字字字字 …".replace(" ", "", 0)
    assert glass.column == 4


def test_a_terminal_that_became_narrower_has_wrapped_the_lines():
    glass, terminal, bottom, size = make(columns=20)
    terminal.write("said\n")
    bottom.show("live", [line("x" * 18)])
    glass.columns = size[0] = 10
    glass.rows[1:3], glass.at, glass.column = ["x" * 10, "x" * 8], 2, 8  # what a terminal makes of it
    bottom.redraw()
    assert glass.seen() == ["said", "xxxxxxxxx…"]


def test_output_that_does_not_end_its_line_is_not_overwritten():
    glass, terminal, bottom, _ = make()
    terminal.write("part")
    bottom.show("prompt", [line("files:")], 7)
    assert glass.seen() == ["part", "files:"]
    terminal.write("more\n")
    assert glass.seen() == ["part", "more", "files:"]


def test_a_page_begins_on_an_empty_screen_and_the_one_before_is_kept_above():
    glass, terminal, screen, _ = make(kind=Screen, clear=True)
    terminal.write("shell\n")
    screen.show("prompt", [line("prompt")])
    screen.begin()
    assert glass.everything() == ["shell", "prompt"]
    assert glass.seen() == ["prompt"]
    terminal.write("".join(f"{number}\n" for number in range(8)))
    screen.begin()
    assert [row.strip() for row in glass.gone] == ["shell", *map(str, range(8))]
    assert glass.seen() == ["prompt"]


def test_without_clearing_pages_follow_each_other():
    glass, terminal, screen, _ = make(kind=Screen, clear=False)
    terminal.write("one\n")
    screen.begin()
    terminal.write("two\n")
    assert glass.seen() == ["one", "two"]


@pytest.mark.parametrize("clear", [True, False])
def test_what_covers_a_page_goes_and_what_came_meanwhile_is_there(clear):
    glass, terminal, screen, _ = make(rows=12, kind=Screen, clear=clear)
    screen.begin()
    terminal.write("page\n")
    screen.cover("help\n")
    screen.show("prompt", [line("back")])
    assert glass.seen() == (["help", "back"] if clear else ["page", "help", "back"])
    terminal.write("meanwhile\n")
    assert "meanwhile" not in glass.seen()
    screen.uncover()
    assert glass.seen() == (["page", "meanwhile", "back"] if clear else ["page", "help", "meanwhile", "back"])
    screen.uncover()
    terminal.write("more\n")
    assert glass.seen()[-2:] == ["more", "back"]


def test_of_a_long_page_the_end_is_shown_again():
    glass, terminal, screen, _ = make(rows=6, kind=Screen, clear=True)
    terminal.write("".join(f"{number}\n" for number in range(20)))
    screen.cover("help\n")
    assert glass.seen() == ["help"]
    screen.uncover()
    assert glass.seen() == ["15", "16", "17", "18", "19"]


def test_a_new_page_takes_the_place_of_what_covers_the_old_one():
    glass, terminal, screen, _ = make(kind=Screen, clear=True)
    screen.cover("help\n")
    screen.begin()
    terminal.write("new\n")
    assert glass.seen() == ["new"]


def test_of_a_page_without_end_not_all_is_kept():
    glass, terminal, screen, _ = make(rows=6, kind=Screen, clear=True)
    for number in range(300):
        terminal.write(f"{number}" + "x" * 4000 + "\n")
    assert sum(map(len, screen._page)) < 600_000
    terminal.write("end\n")
    screen.cover("help\n")
    screen.uncover()
    assert glass.seen()[-1] == "end"
