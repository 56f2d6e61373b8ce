"""`Watchdog`: ends the processes of a test run, and removes their data, when the run itself is gone.

A run that is killed cannot clean up. So a process of its own waits for the end of a pipe that only the run holds: it
ends with the run, whatever ended it. Linux could signal a child at the death of its parent (PR_SET_PDEATHSIG), but
means the thread that started it: a broker started in an executor would die with the executor.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

__all__ = ["Watchdog"]


class Watchdog:
    """Guards the processes of one process group and one folder, from its creation until `close`.

    Args:
        folder: What is removed in the end.
    """

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-I", "-S", __file__, str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)

    @property
    def group(self) -> int:
        """The process group to start processes in: the watchdog leads it."""
        return self._process.pid

    def close(self) -> None:
        """End all processes of the group and remove the folder."""
        # The same way as after a kill, so that each run proves it. Its output ends when all is done.
        self._process.communicate()

    def __enter__(self) -> Watchdog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def watch(folder: Path) -> None:
    """Wait for the end of standard input, then kill the own process group and remove a folder."""
    sys.stdin.buffer.read()
    group = os.getpid()
    remover = os.fork()
    if remover == 0:
        os.setpgid(0, 0)  # Otherwise it would kill itself.
        os.killpg(group, signal.SIGKILL)
        for _ in range(100):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():  # A process that was just killed can still have made a file.
                break
        os._exit(0)
    signal.pause()  # A group exists as long as its leader: no other process can be hit.


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
