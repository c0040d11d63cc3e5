from pathlib import Path

import msgspec
import pytest

from testd_protocol import documents, messages, reference

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
STRUCTS = [
    *messages.Message.__subclasses__(),
    *(value for name in documents.__all__ if isinstance(value := getattr(documents, name), type)),
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_message_and_field_says_what_it_means(struct):
    meanings = reference.meanings(struct)
    assert list(meanings) == [field.name for field in msgspec.structs.fields(struct)]
    assert [name for name, (_, _, meaning) in meanings.items() if not meaning] == []
    assert struct.__doc__


def test_the_page_is_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert reference.replaced(page) == page, "run: python -m testd_protocol.reference docs/protocol.md"


def test_the_page_names_every_message_in_its_own_section():
    headings = {line[5:] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("#### ")}
    assert {struct.__name__ for struct in STRUCTS} <= headings


def test_a_page_without_markers_is_told():
    with pytest.raises(ValueError, match="needs both markers"):
        reference.replaced("# The protocol\n")
