"""The journal of tests numbers entries as the real one does."""

from __future__ import annotations

from streamproc.testing import MemoryJournal


def test_entries_are_numbered_from_one_without_gaps() -> None:
    journal = MemoryJournal()
    assert journal.append([b"a", b"b"]) == 2
    assert journal.append([b"c"]) == 3
    assert list(journal.read(after=0)) == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert list(journal.read(after=2)) == [(3, b"c")]


def test_numbers_go_on_behind_what_was_trimmed() -> None:
    journal = MemoryJournal()
    journal.append([b"a", b"b"])
    journal.trim(before=3)
    assert list(journal.read(after=0)) == []
    assert journal.append([b"c"]) == 3
