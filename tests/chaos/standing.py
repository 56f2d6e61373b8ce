"""How far a dead job has come, read from its state and its files: tells what it was doing when it was killed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from streamproc import StateError
from streamproc.connectors.files.manifest import read_manifest
from streamproc.state.inspection import StateInspection
from tests.chaos.weblog import Weblog

__all__ = ["Phase", "Standing", "phase"]


class Phase(StrEnum):
    """What the job was doing when it was killed, as far as can be told."""

    STARTING = "starting, before it had opened its state"
    FIRST_BATCH = "recovering, or in its first batch"
    PUBLISHING = "between a commit and the end of its publishing"
    BATCHES = "in a later batch, or waiting for one"


@dataclass(frozen=True)
class Standing:
    """How far the job has come.

    Attributes:
        opened: Changes whenever the state is opened; None as long as it was not.
        batch: The last committed batch.
        published: The last batch of each sink of files.
        waiting: Whether some sink of files has still to publish a committed batch.
    """

    opened: int | None = None
    batch: int = 0
    published: frozenset[tuple[str, int]] = frozenset()
    waiting: bool = False

    @classmethod
    def of(cls, weblog: Weblog) -> Standing:
        """Look at a job that doesn't run; changes nothing.

        Raises:
            AssertionError: A sink is ahead of the state.
        """
        # RocksDB begins a new file of this name whenever it opens a database.
        log = weblog.state / "LOG"
        manifests = map(read_manifest, weblog.out.glob("*/.streamproc-*.json"))
        published = {manifest.sink: manifest.batch for manifest in manifests if manifest is not None}
        if not log.exists():
            assert not published
            return cls()
        try:
            with StateInspection.open(weblog.state) as inspection:
                batch = inspection.ledger.batch_id
                outbox = {(row.sink, row.batch_id) for row in inspection.ledger.outbox()}
        except StateError:
            # Killed while the store was made: as long as nothing was published, there may be nothing to read.
            if published:
                raise
            return cls(log.stat().st_ino)
        ahead = {sink: last for sink, last in published.items() if last > batch}
        assert not ahead, f"published beyond the committed batch {batch}: {ahead}"
        waiting = any(published.get(sink, 0) < number for sink, number in outbox if not sink.startswith("show-"))
        return cls(log.stat().st_ino, batch, frozenset(published.items()), waiting)


def phase(before: Standing, after: Standing) -> Phase:
    """Return what a job was doing when it was killed.

    Args:
        before: How far it had come before it was started.
        after: How far it has come.
    """
    if after.opened == before.opened:
        return Phase.STARTING
    if after.waiting and (after.batch, after.published) != (before.batch, before.published):
        return Phase.PUBLISHING
    return Phase.FIRST_BATCH if after.batch == before.batch else Phase.BATCHES
