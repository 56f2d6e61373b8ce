"""``streamproc offsets``: where an app that is stopped goes on in its sources, and moving it elsewhere."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from streamproc.state import Changes, Identity, Ledger, RocksStore
from tests.cli.command import APPS, Command, command_in

STATE = ".streamproc/letters/0"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the app has read all of its letters; not to be changed."""
    folder = tmp_path_factory.mktemp("letters")
    shutil.copyfile(APPS / "letters.py", folder / "letters.py")
    done = command_in(folder)("run", "letters:app")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(once: Path, tmp_path: Path) -> Path:
    """Return a copy of that folder."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def shown(streamproc: Command, target: str = "letters:app") -> dict[str, int | None]:
    """Return the positions that are shown."""
    done = streamproc("offsets", "show", target, "--json")
    assert done.returncode == 0, done.stderr
    return {row["partition"]: row["position"] for row in json.loads(done.stdout)}


def reset(streamproc: Command, *arguments: str, target: str = "letters:app") -> str:
    """Reset without being asked, and return what is shown."""
    done = streamproc("offsets", "reset", target, "--yes", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stdout
    return " ".join(done.stderr.replace("│", " ").split())


def letters(folder: Path) -> str:
    """Return all letters that were written, in their order."""
    return "".join(
        json.loads(line) for part in sorted((folder / "out").glob("part-*")) for line in part.read_text().splitlines()
    )


def test_a_table_shows_each_partition(streamproc: Command) -> None:
    done = streamproc("offsets", "show", "letters:app")
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["source", "partition", "position", "start", "end", "lag"],
        ["letters", "lower/0", "5", "1", "5", "0"],
        ["letters", "lower/1", "5", "1", "5", "0"],
    ]
    assert (done.stdout + done.stderr).isascii()


def test_a_program_reads_json(streamproc: Command) -> None:
    reset(streamproc, "--to", "2", "--partition", "1")
    done = streamproc("offsets", "show", "letters:app", "--json")
    assert json.loads(done.stdout) == [
        {"source": "letters", "partition": "lower/0", "position": 5, "start": 1, "end": 5, "lag": 0},
        {"source": "letters", "partition": "lower/1", "position": 2, "start": 1, "end": 5, "lag": 3},
    ]


def test_an_app_that_has_not_run_has_no_positions(streamproc: Command, folder: Path) -> None:
    shutil.rmtree(folder / ".streamproc")
    assert shown(streamproc) == {"lower/0": None, "lower/1": None}
    done = streamproc("offsets", "reset", "letters:app", "--to", "earliest", "--yes")
    assert "app 'letters' has no state in .streamproc/letters/0, so it has read nothing yet" in refusal(done, 1)
    assert not (folder / ".streamproc").exists()


@pytest.mark.parametrize(
    ("to", "position", "again"),
    [
        ("earliest", 1, "bcdewxyz"),
        ("latest", 5, ""),
        ("3", 3, "deyz"),
        ("2026-01-01T00:00:02Z", 2, "cdexyz"),
        ("2026-01-01T01:00:02.001+01:00", 3, "deyz"),
        ("2027-01-01T00:00:00Z", 5, ""),
    ],
)
def test_an_app_goes_on_where_it_was_moved_to(
    streamproc: Command, folder: Path, to: str, position: int, again: str
) -> None:
    before = letters(folder)
    assert before == "bcdewxyz"
    reset(streamproc, "--to", to)
    assert shown(streamproc) == {"lower/0": position, "lower/1": position}
    assert streamproc("run", "letters:app").returncode == 0
    assert letters(folder) == before + again
    assert shown(streamproc) == {"lower/0": 5, "lower/1": 5}


def test_the_plan_is_shown_before_it_asks(streamproc: Command, folder: Path) -> None:
    # There is nobody to answer.
    done = streamproc("offsets", "reset", "letters:app", "--to", "earliest")
    assert done.returncode == 1
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[:3] == [
        ["source", "partition", "from", "to"],
        ["letters", "lower/0", "5", "1", "up", "to", "4", "again"],
        ["letters", "lower/1", "5", "1", "up", "to", "4", "again"],
    ]
    assert "Only the position moves; the app's state, and what it has written, stay as they are." in done.stdout
    assert "Move letters? [y/N]" in done.stdout
    assert shown(streamproc) == {"lower/0": 5, "lower/1": 5}
    assert not (folder / "moved").exists()


@pytest.mark.parametrize(("answer", "position"), [("y\n", 1), ("n\n", 5)])
def test_the_answer_decides(streamproc: Command, folder: Path, answer: str, position: int) -> None:
    done = streamproc("offsets", "reset", "letters:app", "--to", "earliest", input=answer)
    assert done.returncode == (position != 1)
    assert shown(streamproc) == {"lower/0": position, "lower/1": position}
    assert (folder / "moved").exists() == (position == 1)


def test_a_dry_run_changes_nothing(streamproc: Command) -> None:
    assert "up to 4 again" in reset(streamproc, "--to", "earliest", "--dry-run")
    assert shown(streamproc) == {"lower/0": 5, "lower/1": 5}


def test_what_is_there_already_needs_no_move(streamproc: Command, folder: Path) -> None:
    assert reset(streamproc, "--to", "latest") == "letters is there already: nothing to do.\n"
    reset(streamproc, "--to", "3", "--partition", "lower/0")
    assert "up to 2 passed over" in reset(streamproc, "--to", "latest")
    assert (folder / "moved").read_text() == "{'lower/0': 5}"


def test_partitions_are_named_by_number_or_name(streamproc: Command) -> None:
    reset(streamproc, "--to", "2", "--partition", "0", "--partition", "lower/1")
    assert shown(streamproc) == {"lower/0": 2, "lower/1": 2}
    reset(streamproc, "--to", "earliest", "--partition", "1")
    assert shown(streamproc) == {"lower/0": 2, "lower/1": 1}
    done = streamproc("offsets", "reset", "letters:app", "--to", "earliest", "--partition", "2")
    assert "there is no partition '2': expected lower/0, lower/1" in refusal(done, 2)


@pytest.mark.parametrize(
    ("to", "problem"),
    [
        ("0", "0 is not in lower/0, which holds 1 to 5: name the partitions that it is for by --partition"),
        ("6", "6 is not in lower/0, which holds 1 to 5"),
        ("yesterday", "'yesterday': expected earliest, latest, a time such as 2026-01-01T00:00:00Z, or an offset"),
        ("2026-01-01T00:00:00", "'2026-01-01T00:00:00' has no time zone: expected Z or an offset at its end"),
    ],
)
def test_a_goal_that_is_none_is_wrong_use(streamproc: Command, to: str, problem: str) -> None:
    done = streamproc("offsets", "reset", "letters:app", "--to", to, "--yes")
    assert problem in refusal(done, 2)
    assert shown(streamproc) == {"lower/0": 5, "lower/1": 5}


def test_of_several_sources_one_is_named(streamproc: Command) -> None:
    assert streamproc("run", "letters:make_two").returncode == 0
    done = streamproc("offsets", "reset", "letters:make_two", "--to", "earliest")
    assert "the app has several sources: expected letters or more" in refusal(done, 2)
    done = streamproc("offsets", "reset", "letters:make_two", "--to", "earliest", "--source", "less")
    assert "there is no source 'less': expected letters or more" in refusal(done, 2)
    reset(streamproc, "--to", "earliest", "--source", "more", target="letters:make_two")
    done = streamproc("offsets", "show", "letters:make_two", "--json")
    assert [(row["source"], row["position"]) for row in json.loads(done.stdout)] == [
        ("letters", 5),
        ("letters", 5),
        ("more", 1),
        ("more", 1),
    ]


def test_a_source_that_finds_no_positions_is_shown_and_not_moved(streamproc: Command) -> None:
    assert streamproc("run", "letters:make_generated").returncode == 0
    assert shown(streamproc, "letters:make_generated") == {"0": 3}
    done = streamproc("offsets", "reset", "letters:make_generated", "--to", "earliest", "--yes")
    assert "source 'numbers' can't be moved: a GeneratorSource does not find its records" in refusal(done, 1)


def test_a_running_app_is_left_alone(streamproc: Command, folder: Path) -> None:
    store = RocksStore.open(folder / STATE)
    try:
        for command in (["show", "letters:app"], ["reset", "letters:app", "--to", "earliest", "--yes"]):
            assert "is open in process" in refusal(streamproc("offsets", *command), 1)
    finally:
        store.close()
    assert shown(streamproc) == {"lower/0": 5, "lower/1": 5}


async def test_what_waits_to_be_published_goes_first(streamproc: Command, folder: Path) -> None:
    store = RocksStore.open(folder / STATE)
    try:
        ledger, changes = Ledger.open(store, Identity("letters", 0, 1)), Changes()
        ledger.record(
            changes,
            batch_id=ledger.batch_id + 1,
            time=(ledger.time or 0) + 1,
            positions={},
            outputs={"sink": b"row"},
            published_through=ledger.batch_id,
        )
        await store.commit(changes)
    finally:
        store.close()
    done = await asyncio.to_thread(streamproc, "offsets", "reset", "letters:app", "--to", "earliest", "--yes")
    assert "1 batch waits in the outbox to be published" in refusal(done, 1)
    assert "run it once more" in done.stderr


def test_a_shard_of_another_job_is_left_alone(streamproc: Command) -> None:
    done = streamproc("offsets", "reset", "letters:app", "--to", "earliest", "--yes", "--shards", "2")
    assert "the state belongs to app 'letters', shard 0 of 1" in refusal(done, 1)


def test_a_move_stands_even_if_nobody_can_be_told(streamproc: Command) -> None:
    done = streamproc("offsets", "reset", "letters:app", "--to", "earliest", "--yes", FAIL="1")
    assert done.returncode == 0
    assert done.stderr == "Warning: nobody can be told. Who watches sees them with the next batch.\n"
    assert shown(streamproc) == {"lower/0": 1, "lower/1": 1}
