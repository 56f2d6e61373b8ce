"""A damaged, shortened or missing file of a store is noticed, or does no harm."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamproc.errors import CorruptStateError
from streamproc.state import Family, RocksStore
from tests.state.writer import CACHE_BYTES, Content, content_after, read

SEED = 20_240_701
BATCHES = 150


def flipped(bit: int) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    return damage


def damages(size: int, rng: random.Random, flips: int) -> Iterator[tuple[str, Callable[[bytes], bytes] | None]]:
    yield "deleted", None
    if size:
        yield "emptied", lambda _: b""
        yield "half as long", lambda data: data[: len(data) // 2]
        yield "one byte shorter", lambda data: data[:-1]
        # The end is where a changed length looks like a torn write.
        places = [rng.randrange(size * 8) for _ in range(flips)]
        for bit in [*places, *(rng.randrange(max(0, size - 60) * 8, size * 8) for _ in range(flips // 2))]:
            yield f"with bit {bit} flipped", flipped(bit)


def make_image(directory: Path) -> None:
    """Fill a store and kill the process that has it open."""
    program = [sys.executable, "-m", "tests.state.writer", str(directory), str(SEED), str(BATCHES)]
    writer = subprocess.run(program, stdout=subprocess.DEVNULL, check=False)
    assert writer.returncode == -signal.SIGKILL


def damage_each_file(tmp_path: Path, flips: int, files: int) -> list[str]:
    """Damage some files of each kind of a killed store in each way; return the files whose damage was noticed."""
    image, victim = tmp_path / "image", tmp_path / "victim"
    make_image(image)
    content = content_after(SEED, BATCHES)
    shutil.copytree(image, victim)
    assert read(victim) == content, "not even the undamaged files hold all that was committed"
    rng = random.Random(SEED)
    noticed: list[str] = []
    for path in some_of_each_kind(sorted(image.iterdir()), files):
        for what, damage in damages(path.stat().st_size, rng, flips):
            shutil.rmtree(victim)
            shutil.copytree(image, victim)
            if damage is None:
                (victim / path.name).unlink()
            else:
                (victim / path.name).write_bytes(damage(path.read_bytes()))
            outcome = read_or_refuse(victim)
            if isinstance(outcome, CorruptStateError):
                assert str(victim) in str(outcome), f"{path.name} {what}: the error names no file: {outcome}"
                noticed.append(path.name)
            else:
                assert outcome == content, f"{path.name} {what}: the store answered, but wrongly"
    return noticed


def scanned(directory: Path) -> Content:
    store = RocksStore.open(directory, cache_bytes=CACHE_BYTES)
    try:
        return {family: dict(store.scan(family)) for family in Family}
    finally:
        store.close()


def test_a_scan_never_just_ends_at_a_damaged_block(tmp_path: Path) -> None:
    image, victim = tmp_path / "image", tmp_path / "victim"
    make_image(image)
    content = content_after(SEED, BATCHES)
    refused = 0
    # One that was only begun when the process was killed may be empty.
    for path in [path for path in sorted(image.glob("*.sst")) if path.stat().st_size][-6:]:
        shutil.copytree(image, victim, dirs_exist_ok=True)
        # The blocks with the entries come first in the file.
        (victim / path.name).write_bytes(flipped(path.stat().st_size // 3 * 8)(path.read_bytes()))
        try:
            assert scanned(victim) == content, f"{path.name}: the scan was short"
        except CorruptStateError:
            refused += 1
        shutil.rmtree(victim)
    assert refused


def read_or_refuse(directory: Path) -> Content | CorruptStateError:
    try:
        return read(directory)
    except CorruptStateError as error:
        return error


def kind(path: Path) -> str:
    return path.suffix or path.name.split("-")[0]


def some_of_each_kind(paths: list[Path], most: int) -> list[Path]:
    """Return at most so many files of each kind: the oldest and, more interesting, the newest ones."""
    by_kind: dict[str, list[Path]] = {}
    for path in paths:
        by_kind.setdefault(kind(path), []).append(path)
    return [path for same in by_kind.values() for path in dict.fromkeys(same[:1] + same[1:][-most + 1 :])]


def test_damage_is_noticed_or_does_no_harm(tmp_path: Path) -> None:
    noticed = damage_each_file(tmp_path, flips=2, files=2)

    assert {kind(Path(name)) for name in noticed} >= {".sst", ".log", "MANIFEST", "CURRENT", "COMMITTED"}


@pytest.mark.slow
def test_damage_is_noticed_or_does_no_harm_at_many_places(tmp_path: Path) -> None:
    assert len(damage_each_file(tmp_path, flips=30, files=10)) > 200
