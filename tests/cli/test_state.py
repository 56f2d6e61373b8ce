"""``streamproc state``: what an app that has stopped remembers, without its code and without changing a byte."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from streamproc.errors import StateError
from streamproc.state import Changes, Family, RocksStore, StateInspection, find_states
from tests.cli.command import Command, command_in

STATE = ".streamproc"


def got(look: Command, *arguments: str) -> Any:
    """Return what ``state get`` shows."""
    done = look("state", "get", STATE, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refusal(look: Command, *arguments: str) -> str:
    """Return why ``state get`` finds nothing."""
    done = look("state", "get", STATE, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr.removeprefix("Error: ").removesuffix("\n")


def contents(folder: Path) -> dict[str, str]:
    """Return the files of a folder with the hashes of what is in them."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_list_shows_how_far_the_app_came_and_what_each_operator_holds(look: Command) -> None:
    done = look("state", "ls", STATE)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("orders, shard 0 of 1: .streamproc/orders/0 (")
    assert lines[1].startswith("  last batch  4 of 20")
    assert "  position    orders, partition 0: 100" in lines
    table = [line.split() for line in lines[lines.index("") + 1 :]]
    assert [row[:3] for row in table] == [
        ["operator", "variable", "entries"],
        ["habits", "(timers)", "4"],
        ["habits", "history", "104"],
        ["habits", "items", "12"],
        ["pairs", "state", "12"],
        ["totals", "state", "4"],
    ]


def test_the_list_takes_the_directory_of_a_shard_of_an_app_or_of_all_apps(look: Command) -> None:
    whole = look("state", "ls", STATE).stdout
    assert look("state", "ls", f"{STATE}/orders").stdout == whole
    assert look("state", "ls", f"{STATE}/orders/0").stdout == whole


def test_state_is_found_by_key_as_fields_without_the_class(look: Command) -> None:
    assert got(look, "totals", "ann") == {"orders": 25, "spent": "37.50"}
    assert got(look, "totals", "élise") == {"orders": 25, "spent": "37.50"}


def test_a_key_is_json_or_else_text(look: Command) -> None:
    assert got(look, "pairs", '["ann", 0]') == 9
    assert got(look, "totals", '"42"') == {"orders": 25, "spent": "37.50"}
    assert refusal(look, "totals", "42") == "totals has no key 42 of type int, but it has text: '\"42\"'"


def test_lists_and_maps_of_a_key_are_shown_whole(look: Command) -> None:
    assert got(look, "habits", "ann", "--variable", "items") == [[0, 9], [1, 8], [2, 8]]
    history = got(look, "habits", "ann", "--variable", "history")
    assert history == [[number, number * 4 % 3] for number in range(25)]


def test_what_is_not_there_is_said_with_what_is(look: Command) -> None:
    assert refusal(look, "totals", "zoe") == "totals has nothing under the key 'zoe' of type str"
    assert refusal(look, "habits", "ann") == "habits has no variable 'state': expected --variable history or items"
    assert refusal(look, "total", "ann") == (
        "no operator 'total' has state here; those that have: habits, pairs, totals"
    )


def test_an_object_is_no_key(look: Command) -> None:
    done = look("state", "get", STATE, "totals", '{"a": 1}')
    assert done.returncode == 2
    assert "a JSON object can't be a key: expected a scalar or an array" in done.stderr


def test_an_export_has_every_entry_as_a_line_of_json(look: Command) -> None:
    done = look("state", "export", STATE)
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(entries) == 104 + 12 + 12 + 4
    ann = {"operator": "totals", "variable": "state", "key": "ann", "value": {"orders": 25, "spent": "37.50"}}
    assert {"app": "orders", "shard": 0, **ann} in entries


def test_an_export_can_be_of_one_operator_and_to_a_file(look: Command, tmp_path: Path) -> None:
    done = look("state", "export", STATE, "--operator", "pairs", "--output", str(tmp_path / "pairs.ndjson"))
    assert (done.returncode, done.stdout) == (0, "")
    entries = [json.loads(line) for line in (tmp_path / "pairs.ndjson").read_text().splitlines()]
    assert {(entry["operator"], *entry["key"]): entry["value"] for entry in entries if entry["key"][0] == "bob"} == {
        ("pairs", "bob", 0): 8,
        ("pairs", "bob", 1): 9,
        ("pairs", "bob", 2): 8,
    }


def test_an_export_that_cannot_be_written_says_so(look: Command) -> None:
    done = look("state", "export", STATE, "-o", "no/such/folder")
    assert done.returncode == 1
    assert done.stderr == "Error: no/such/folder can't be written: No such file or directory\n"


def test_the_class_of_a_value_is_not_needed(ran: Path, tmp_path: Path) -> None:
    shutil.copytree(ran / STATE, tmp_path / STATE)
    assert got(command_in(tmp_path), "totals", "ann") == {"orders": 25, "spent": "37.50"}


def test_looking_changes_no_byte(ran: Path, look: Command) -> None:
    before = contents(ran)
    for arguments in (["ls", STATE], ["get", STATE, "totals", "ann"], ["export", STATE]):
        assert look("state", *arguments).returncode == 0
    assert contents(ran) == before


def test_state_can_be_looked_at_by_several_at_once_but_not_while_an_app_writes_it(ran: Path) -> None:
    [place] = find_states(ran / STATE)
    with StateInspection.open(place) as first, StateInspection.open(place) as second:
        assert first.sizes() == second.sizes()
        with pytest.raises(StateError, match="is open in"):
            RocksStore.open(place)


async def test_an_inspection_writes_nothing(ran: Path) -> None:
    [place] = find_states(ran / STATE)
    store = RocksStore.open(place, read_only=True)
    try:
        with pytest.raises(StateError):
            await store.commit(Changes(puts=[(Family.META, b"key", b"value")]))
    finally:
        store.close()


def test_a_killed_app_left_what_it_had_committed(ran: Path, tmp_path: Path) -> None:
    [place] = find_states(ran / STATE)
    writing = RocksStore.open(shutil.copytree(place, tmp_path / "state"))
    try:
        # As after kill -9: files as they are while the store is open, the last writes in its log only.
        killed = shutil.copytree(tmp_path / "state", tmp_path / "killed")
    finally:
        writing.close()
    before = contents(killed)
    with StateInspection.open(killed) as state:
        entry = state.entry("pairs", "state", ("ann", 0))
        assert entry is not None
        assert entry.value == 9
    assert contents(killed) == before


def test_several_shards_are_listed_together_and_asked_one_by_one(ran: Path, tmp_path: Path) -> None:
    for app in ("a", "b"):
        shutil.copytree(ran / STATE / "orders", tmp_path / STATE / app)
    look = command_in(tmp_path)
    assert look("state", "ls", STATE).stdout.count("orders, shard 0 of 1: ") == 2
    done = look("state", "get", STATE, "totals", "ann")
    assert done.returncode == 2
    assert "holds the state of several shards, expected that of one: .streamproc/a/0, .streamproc/b/0" in done.stderr


def test_a_directory_without_state_stays_as_it_is(streamproc: Command, folder: Path) -> None:
    before = contents(folder)
    for place, problem in (("elsewhere", "does not exist"), (".", "holds no state of an app")):
        done = streamproc("state", "ls", place)
        assert done.returncode == 2
        assert f"{place} {problem}: expected the --state-dir of an app" in done.stderr
    assert contents(folder) == before
    assert not (folder / "elsewhere").exists()


def test_damage_is_an_error_that_names_the_file(ran: Path, tmp_path: Path) -> None:
    shutil.copytree(ran / STATE, tmp_path / STATE)
    mark = tmp_path / STATE / "orders/0/COMMITTED"
    mark.write_bytes(b"?" + mark.read_bytes()[1:])
    done = command_in(tmp_path)("state", "ls", STATE)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {mark} is damaged")
