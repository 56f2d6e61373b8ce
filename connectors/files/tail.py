"""`Tail`: one path that is appended to and rotated, followed for ever (``tail -F``).

Bytes count only once the file is found unchanged *after* they were read: it is still at least as long, and begins with
the same bytes. So bytes read around a truncation are dropped and looked for in the copy instead.

A renamed file is still written to until its writer opens the new one, which may be after that exists. So it is given
up only when nothing was added to it for ``rotate_wait``. Then it is over, and a last line without a line break counts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from streamproc.errors import SourceError
from streamproc.eventtime.clock import Clock
from streamproc.io.source import Position

from .compression import is_compressed
from .format import Format
from .open_file import CHUNK, FilePosition, OpenFile, decode_position
from .record_buffer import Taken
from .rotation import find_read_file, next_file

__all__ = ["Tail"]

_log = logging.getLogger(__name__)


class Tail:
    """Follows a path.

    Args:
        path: The path; it need not exist yet.
        format: What its records are.
        source: The operator name of the source, for errors.
        clock: Measures ``rotate_wait``.
        max_record_bytes: The longest record that is not an error.
        rotate_wait: How long a renamed file must have been quiet until it is over, in milliseconds.
        if_lost: What to do at a start when the file of the committed position is gone.
    """

    def __init__(
        self,
        path: Path,
        format: Format[Any],
        *,
        source: str,
        clock: Clock,
        max_record_bytes: int,
        rotate_wait: int,
        if_lost: Literal["fail", "restart"],
    ) -> None:
        self._path = path
        self._format = format
        self._source = source
        self._clock = clock
        self._max_record_bytes = max_record_bytes
        self._rotate_wait = rotate_wait
        self._if_lost = if_lost
        self._file: OpenFile | None = None
        self._moved = False
        self._quiet_since: int | None = None
        self._stop: tuple[int, int] | None = None
        self._bounded = False
        self._at_end = False

    def ready(self) -> bool:
        """Return whether ``take`` would return a record."""
        return self._file is not None and self._file.ready

    def finished(self) -> bool:
        """Return whether the input was bounded, and that bound is reached."""
        return self._at_end and not self.ready()

    def start(self, positions: Mapping[str, Position]) -> None:
        """Open the file of the committed position, wherever it is by now, or wait for the path to appear."""
        text = positions.get(self._path.name)
        if text is None:
            return
        position = decode_position(text, source=self._source)
        if self._reopen(position):
            return
        if _inode(self._path) != position.inode and self._if_lost == "fail":
            raise SourceError(
                f"source {self._source!r}: the file that was read up to byte {position.offset} as {position.name} is "
                f"neither {self._path} nor one of its rotated files (inode {position.inode}): what was written to it "
                "since can't be read. Bring it back, or go on without it: FileSource(…, if_lost='restart')"
            )
        self._warn_cut(position)

    def fill(self) -> None:
        """Read on until a record is ready or there is nothing more now."""
        while not self._at_end:
            file = self._file
            if file is None:
                if not self._switch(self._path):
                    self._at_end = self._bounded
                    return
                continue
            if file.ready:
                return
            data = b"" if file.ended else file.read(self._left(file))
            if not file.ended and not is_compressed(file.path) and not file.intact():
                self._recover(file)
            elif data:
                file.feed(data)
                self._quiet_since = None
            elif not self._go_on(file):
                return

    def take(self, records: int, size: int, *, at_least_one: bool) -> Taken:
        """Hand out records that are ready."""
        assert self._file is not None
        self._moved = True
        return self._file.take(records, size, at_least_one=at_least_one)

    def moved(self) -> Mapping[str, Position | None]:
        """Return the position, if it has changed since the last call."""
        moved, self._moved = self._moved, False
        return {self._path.name: self._file.position.encode()} if moved and self._file is not None else {}

    def bound(self) -> None:
        """Read no further than the path's file goes now; files that it follows are read to their ends."""
        self._bounded = True
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return
        self._stop = stat.st_ino, stat.st_size

    def progress(self) -> tuple[int, int] | None:
        """Return how many bytes of the current file were read, and how many there are now."""
        return None if self._file is None else self._file.progress()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _go_on(self, file: OpenFile) -> bool:
        """At the end of what a file has now: decide what comes next, and return whether to read on."""
        if self._stop == (file.inode, file.read_to):
            self._at_end = True
            return False
        if _inode(self._path) == file.inode:
            self._quiet_since = None
            self._at_end = self._bounded
            return False
        following = next_file(self._path, file.path, file.stat(), file.head)
        if following is None:
            self._at_end = self._bounded
            return False
        if not file.ended:
            now = self._clock.now()
            if self._quiet_since is None:
                self._quiet_since = now
            if not self._bounded and not is_compressed(file.path) and now - self._quiet_since < self._rotate_wait:
                return False
            file.end()
            return True
        # Where another rotation came in between, what comes next has to be asked again.
        self._switch(following.path, inode=following.inode)
        return True

    def _recover(self, file: OpenFile) -> None:
        """Go on after a truncation: in the copy that was made before, if there is one, else at the new start."""
        position = file.position
        if position.offset and self._reopen(position):
            return
        self._warn_cut(position)
        file.close()
        self._file = None

    def _reopen(self, position: FilePosition) -> bool:
        """Open the file of a position, wherever it is by now, and return whether it is anywhere."""
        while (found := find_read_file(self._path, position)) is not None:
            try:
                file = self._open(found.path, position)
            except (FileNotFoundError, SourceError):
                if _inode(found.path) == found.inode:
                    raise
                continue  # it was renamed once more since it was found
            if file.inode == found.inode:
                self._replace(file)
                return True
            file.close()
        return False

    def _switch(self, path: Path, *, inode: int | None = None) -> bool:
        """Go to the start of a file, and return whether it is there (and is the one of an inode)."""
        try:
            file = self._open(path, None)
        except FileNotFoundError:
            return False
        if inode is not None and file.inode != inode:
            file.close()
            return False
        self._replace(file)
        return True

    def _replace(self, file: OpenFile) -> None:
        if self._file is not None:
            self._file.close()
        self._file = file
        self._quiet_since = None
        self._moved = True

    def _open(self, path: Path, position: FilePosition | None) -> OpenFile:
        try:
            return OpenFile(
                path,
                self._format,
                partition=self._path.name,
                max_record_bytes=self._max_record_bytes,
                position=position,
            )
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SourceError(f"source {self._source!r} can't open {path}: {error.strerror}") from error

    def _left(self, file: OpenFile) -> int:
        """Return how much of a file may be read at once."""
        if self._stop is not None and self._stop[0] == file.inode:
            return min(CHUNK, max(0, self._stop[1] - file.read_to))
        return CHUNK

    def _warn_cut(self, position: FilePosition) -> None:
        _log.warning(
            "the file was cut; what was written to it between the last read and the cut can't be read; "
            "going on at its new start",
            extra={"source": self._source, "path": str(self._path), "read_to": position.offset},
        )


def _inode(path: Path) -> int | None:
    """Return the inode of the file at a path, or None if there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"{path} can't be looked at: {error.strerror}") from error
