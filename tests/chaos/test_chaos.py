"""`make chaos` in short: the web-log job is killed with SIGKILL while it is fed, and counts every line exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.trial import Kind, Trial

SEED = 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["follow", "tcp"])
async def test_every_line_is_counted_exactly_once(kind: Kind, tmp_path: Path) -> None:
    outcome = await Trial(kind, kills=6, lines=9_000, seed=SEED, rotations=1).run(tmp_path)

    print(outcome)
    assert outcome.problems == []
    assert outcome.missing.lost == 0
    assert outcome.phases.total() == 6
