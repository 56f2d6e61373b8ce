"""The mark: it tells a state directory that has all its files from one that lost something."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.errors import CorruptStateError
from streamproc.state.mark import Mark

EDITS = bytes(range(200))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory as RocksDB would leave it, marked after write 42."""
    Mark(tmp_path).verify()
    (tmp_path / "CURRENT").write_bytes(b"MANIFEST-000005\n")
    (tmp_path / "MANIFEST-000005").write_bytes(EDITS)
    Mark(tmp_path).write(42)
    return tmp_path


def verify(directory: Path, sequence: int = 42) -> None:
    mark = Mark(directory)
    mark.verify()
    mark.arrived(sequence, ["000004.log"])


def refused(directory: Path, name: str, sequence: int = 42) -> None:
    with pytest.raises(CorruptStateError, match=str(directory / name)):
        verify(directory, sequence)


def test_a_directory_as_it_was_or_further_on_is_accepted(directory: Path) -> None:
    verify(directory)
    verify(directory, sequence=50)
    (directory / "MANIFEST-000005").write_bytes(EDITS + b"more")
    verify(directory)
    (directory / "CURRENT").write_bytes(b"MANIFEST-000009\n")
    (directory / "MANIFEST-000009").write_bytes(b"new")
    verify(directory)


def test_the_mark_follows_a_growing_and_a_new_manifest(directory: Path) -> None:
    mark = Mark(directory)
    for name, content in (
        ("MANIFEST-000005", EDITS + b"more"),
        ("MANIFEST-000009", b"new"),
        ("MANIFEST-000009", b"newer"),
    ):
        (directory / name).write_bytes(content)
        (directory / "CURRENT").write_text(f"{name}\n")
        mark.write(43)
        verify(directory, 43)
        (directory / name).write_bytes(content[:-1])
        refused(directory, name, 43)
        (directory / name).write_bytes(content)


def test_missing_writes_name_the_log(directory: Path) -> None:
    refused(directory, "000004.log", sequence=41)


@pytest.mark.parametrize("at", range(0, 200, 20))
def test_a_changed_manifest_is_refused(directory: Path, at: int) -> None:
    changed = bytearray(EDITS)
    changed[at] ^= 1
    (directory / "MANIFEST-000005").write_bytes(changed)
    refused(directory, "MANIFEST-000005")


def test_a_shorter_or_older_or_missing_manifest_is_refused(directory: Path) -> None:
    (directory / "MANIFEST-000005").write_bytes(EDITS[:-1])
    refused(directory, "MANIFEST-000005")
    (directory / "MANIFEST-000005").unlink()
    refused(directory, "MANIFEST-000005")
    (directory / "MANIFEST-000003").write_bytes(EDITS)
    (directory / "CURRENT").write_bytes(b"MANIFEST-000003\n")
    refused(directory, "MANIFEST-000003")


@pytest.mark.parametrize("content", [b"", b"MANIFEST-000005", b"MANIFEST-00000\xb5\n", b"../MANIFEST-000005\n", None])
def test_a_damaged_or_missing_current_is_refused(directory: Path, content: bytes | None) -> None:
    if content is None:
        (directory / "CURRENT").unlink()
    else:
        (directory / "CURRENT").write_bytes(content)
    refused(directory, "CURRENT")


@pytest.mark.parametrize("at", range(48))
def test_a_damaged_mark_is_refused(directory: Path, at: int) -> None:
    content = bytearray((directory / "COMMITTED").read_bytes())
    assert len(content) == 48
    content[at] ^= 16
    (directory / "COMMITTED").write_bytes(content)
    refused(directory, "COMMITTED")
    (directory / "COMMITTED").write_bytes(content[:at])
    refused(directory, "COMMITTED")


def test_a_database_without_a_mark_is_refused(directory: Path) -> None:
    (directory / "COMMITTED").unlink()
    refused(directory, "COMMITTED")


def test_a_first_opening_that_was_cut_short_is_no_damage(tmp_path: Path) -> None:
    Mark(tmp_path).verify()
    (tmp_path / "MANIFEST-000001").write_bytes(b"half")
    verify(tmp_path, sequence=0)
