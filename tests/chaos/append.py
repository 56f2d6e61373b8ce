"""A program that appends to a log and rotates it, as a web server does.

``python -m tests.chaos.append FILE SEED LINES RATE ROTATIONS``

It writes whatever is due, cut anywhere, so that a reader often finds half a line at the end. A rotation renames all
files of the log by one; what is written next still goes to the renamed file, until the new one is made. Prints
``rotated`` at each.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from streamproc.eventtime.clock import SystemClock
from tests.chaos.pace import Pace
from tests.chaos.traffic import traffic

_LATE = 20
"""How many lines go to a file after it was renamed."""


class Log:
    """A log that is written to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rotated = 0
        self._file = self._open()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        while data:
            data = data[os.write(self._file, data) :]

    def rename(self) -> None:
        """Rename the file and those that were renamed before; writing goes on in it."""
        for number in range(self._rotated, 0, -1):
            self._numbered(number).rename(self._numbered(number + 1))
        self._path.rename(self._numbered(1))
        self._rotated += 1

    def reopen(self) -> None:
        """Go on in a new file."""
        os.close(self._file)
        self._file = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def main(path: str, seed: int, lines: int, rate: float, rotations: int) -> None:
    rng = random.Random(seed)
    content = [request.line() for request in traffic(seed, lines)]
    # One in each part of the log, and none in its last quarter: all are to happen while the job is killed.
    part = lines * 3 // 4 // max(rotations, 1)
    rotate_at = [part * number + rng.randrange(part // 4, part - _LATE) for number in range(rotations)]
    steps = dict.fromkeys(rotate_at, Log.rename) | {at + _LATE: Log.reopen for at in rotate_at}
    stops = [*sorted(steps), lines]
    log = Log(Path(path))
    pace = Pace(lines, rate, SystemClock())
    done = 0
    rest = b""
    while done < lines:
        pace.wait()
        while done < (until := min(pace.allowed(), stops[0])):
            data = rest + b"".join(content[done:until])
            done = until
            at_stop = done == stops[0]
            cut = len(data) if at_stop else len(data) - rng.randrange(len(content[done - 1]))
            log.write(data[:cut])
            rest = data[cut:]
            if at_stop and done < lines:
                step = steps[stops.pop(0)]
                step(log)
                if step is Log.rename:
                    print("rotated", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
