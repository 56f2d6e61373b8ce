"""A trial: the job is killed again and again while it is fed; at last it may finish, and its results are judged."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from streamproc.eventtime.clock import SystemClock
from tests.chaos.inputs import Followed, Input, Missing, Sent
from tests.chaos.moments import Moment, Moments
from tests.chaos.results import Echo, read_echo, wrong_totals
from tests.chaos.standing import Phase, Standing, phase
from tests.chaos.traffic import traffic
from tests.chaos.weblog import Life, Weblog, program

__all__ = ["Kind", "Outcome", "Trial"]

Kind: TypeAlias = Literal["follow", "tcp"]

_POLL_MS = 1
_START_WITHIN = 60.0
_WRITES_WITHIN = 2.0
"""How long to wait for a job to write results before it is killed all the same."""
_STALLED = 30.0
"""Without anything new in the results for so long, a job that should finish has lost lines."""


@dataclass(frozen=True)
class Outcome:
    """What came out of a trial.

    Attributes:
        trial: Which one.
        phases: How many kills came in which phase.
        at_rotation: How many came within a moment of a rotation.
        seconds: How long it took.
        echo: The lines in the results.
        missing: The lines that are not.
        problems: What should not be; none if all is well.
    """

    trial: Trial
    phases: Counter[Phase]
    at_rotation: int
    seconds: float
    echo: Echo
    missing: Missing
    problems: list[str]

    def __str__(self) -> str:
        trial, echo, missing = self.trial, self.echo, self.missing
        command = f"--only {trial.kind} --kills {trial.kills} --lines {trial.lines} --seed {trial.seed}"
        written = f"doubled {echo.doubled}, changed {echo.changed}, out of order {echo.disordered}"
        lines = [
            f"{trial.kind}   (python -m tests.chaos {command})",
            f"  kills {self.phases.total()}, {self.seconds:.0f} s; the job was",
            *(f"    {self.phases[phase]:>4} {phase}" for phase in Phase),
        ]
        if trial.kind == "follow":
            lines.append(f"    {self.at_rotation:>4} of these within 0.1 s of a rotation")
        lines += [
            f"  lines {trial.lines:,}, counted {len(echo.numbers):,}: lost {missing.lost}, {written}",
            f"  in socket buffers at a kill: {missing.swallowed:,} lines",
            *(f"  {figure}" for figure in missing.figures),
            *(f"  WRONG: {problem}" for problem in self.problems),
            f"  {'FAILED' if self.problems else 'ok: totals equal to an independent count'}",
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Trial:
    """A trial.

    Attributes:
        kind: How the job is fed.
        kills: How often it is killed.
        lines: How many lines it is fed.
        seed: Chooses the lines, the moments of kills and rotations.
        rotations: How often the file that it follows is rotated.
    """

    kind: Kind
    kills: int
    lines: int
    seed: int
    rotations: int = 8

    async def run(self, directory: Path) -> Outcome:
        """Run it.

        Args:
            directory: For all files; empty.

        Raises:
            AssertionError: The job ended by itself, did not start, or published what was not committed.
        """
        clock = SystemClock()
        began = clock.monotonic()
        rng = random.Random(f"{self.kind} {self.seed}")
        requests = traffic(self.seed, self.lines)
        source: Input = Followed(directory, self.rotations) if self.kind == "follow" else Sent(rng)
        weblog = Weblog(directory, source.job)
        chosen = Moments(rng, await _time_to_results(directory / "rehearsal"), rotates=source.rotates)
        moments = [chosen.draw() for _ in range(self.kills)]
        # So that the lines last about as long as the kills.
        rate = 0.9 * self.lines / sum(0.2 + moment.after + 0.3 * (moment.cue is not None) for moment in moments)
        said = directory / "feeder.out"
        phases: Counter[Phase] = Counter()
        at_rotation = 0
        standing = Standing()
        async with program(
            *(*source.feeder, self.seed, self.lines, rate, *source.options),
            output=said,
            errors=directory / "feeder.log",
        ) as feeder:
            for moment in moments:
                async with weblog.alive() as life:
                    at_rotation += await _until(moment, life, weblog, lambda: said.read_bytes().count(b"rotated"))
                    assert feeder.returncode is None, (directory / "feeder.log").read_text()
                    await source.kill(life, feeder)
                before, standing = standing, Standing.of(weblog)
                phases[phase(before, standing)] += 1
            async with weblog.alive() as life:
                assert feeder.stdin is not None
                feeder.stdin.close()
                await _finish(life, weblog, self.lines)
                summary = await life.stop()
            async with asyncio.timeout(_START_WITHIN):
                assert await feeder.wait() == 0, (directory / "feeder.log").read_text()

        echo = read_echo(weblog.out, requests)
        missing = source.missing(said, echo.numbers, requests)
        counted = [request for request in requests if request.number in echo.numbers]
        problems = [*missing.problems, *wrong_totals(weblog.out, summary, counted)]
        problems += [f"{name}: {n} lines" for name, n in _not_as_sent(echo).items() if n]
        return Outcome(self, phases, at_rotation, clock.monotonic() - began, echo, missing, problems)


def _not_as_sent(echo: Echo) -> dict[str, int]:
    return {"doubled": echo.doubled, "changed": echo.changed, "out of order": echo.disordered}


async def _time_to_results(directory: Path) -> float:
    """Return after how many seconds a job that is started has written results."""
    weblog = Weblog(directory, ("--follow", _small_log(directory)))
    clock = SystemClock()
    began = clock.monotonic()
    async with weblog.alive() as life:
        async with asyncio.timeout(_START_WITHIN):
            await _poll(life, lambda: weblog.has_written(100))
        return clock.monotonic() - began


def _small_log(directory: Path) -> Path:
    directory.mkdir()
    log = directory / "access.log"
    log.write_bytes(b"".join(request.line() for request in traffic(0, 100)))
    return log


async def _until(moment: Moment, life: Life, weblog: Weblog, rotations: Callable[[], int]) -> bool:
    """Return when a moment has come, and whether it is one of a rotation."""
    clock = SystemClock()
    began = clock.monotonic()
    rotated = rotations()

    def rotation() -> bool:
        return moment.rotating is not None and rotations() > rotated

    await _poll(life, lambda: rotation() or clock.monotonic() - began >= moment.after)
    cue = moment.cue
    if cue is not None and not rotation():
        written = weblog.written(cue)
        give_up = clock.monotonic() + _WRITES_WITHIN
        await _poll(life, lambda: rotation() or weblog.written(cue) != written or clock.monotonic() > give_up)
    hit = rotation()
    delay = (hit and moment.rotating) or moment.delay
    await clock.sleep_until(clock.now() + int(1000 * delay))
    return hit


async def _finish(life: Life, weblog: Weblog, last: int) -> None:
    """Return when the last line is in the results and nothing more comes, or when the job makes no progress."""
    clock = SystemClock()
    written, since = weblog.written(), clock.monotonic()

    def finished() -> bool:
        nonlocal written, since
        if (now := weblog.written()) != written:
            written, since = now, clock.monotonic()
        return clock.monotonic() - since > (1.5 if weblog.has_written(last) else _STALLED)

    await _poll(life, finished)


async def _poll(life: Life, done: Callable[[], bool]) -> None:
    clock = SystemClock()
    while not done():
        life.check()
        await clock.sleep_until(clock.now() + _POLL_MS)
