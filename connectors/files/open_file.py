"""`OpenFile`: one file being read, and the position in it that survives a crash.

A position names the file by what it is, not only by where it was: the inode, and a fingerprint of its first bytes. The
fingerprint covers at most `HEAD` bytes and never more than was read, so appending to the file does not change it. That
is how a rotated file is found under its new name, and how a new file with a reused inode is told apart.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from streamproc.errors import SourceError

from .compression import is_compressed, open_bytes
from .format import Format
from .record_buffer import RecordBuffer, Taken

__all__ = ["CHUNK", "HEAD", "FilePosition", "OpenFile", "decode_position", "fingerprint"]

HEAD = 1024
"""How many bytes of a file identify it."""

CHUNK = 1 << 20
"""How many bytes are read at a time."""


class FilePosition(msgspec.Struct, frozen=True):
    """The next record to read in a file.

    Attributes:
        inode: The file's inode when it was opened.
        head: The fingerprint of its first ``min(offset, HEAD)`` bytes.
        offset: In bytes of (decompressed) content.
        line: The number of the line there, from 1.
        name: The name under which it was opened, without its directory.
    """

    inode: int
    head: str
    offset: int
    line: int
    name: str

    def encode(self) -> str:
        """Return the position as text for the engine to keep."""
        return msgspec.json.encode(self).decode()


def decode_position(text: int | str, *, source: str) -> FilePosition:
    """Return a position from the text that `FilePosition.encode` made.

    Raises:
        SourceError: It is something else, so it comes from another source or program.
    """
    try:
        return msgspec.json.decode(str(text), type=FilePosition)
    except msgspec.MsgspecError as error:
        raise SourceError(f"{source}: the committed position {text!r:.200} is not one of a file: {error}") from error


def fingerprint(head: bytes) -> str:
    """Return what identifies a file by its first bytes."""
    return blake2b(head, digest_size=12).hexdigest() if head else ""


class OpenFile:
    """Reads one file from a position on.

    Args:
        path: Where it is now.
        format: What its records are.
        partition: What segments call it.
        max_record_bytes: The longest record that is not an error.
        position: Where to begin, if not at the start.

    Raises:
        OSError: It can't be opened.
        SourceError: It is shorter than the position says, or begins with other bytes.
        MissingExtraError: It needs a package that is not installed.
    """

    def __init__(
        self,
        path: Path,
        format: Format[Any],
        *,
        partition: str,
        max_record_bytes: int,
        position: FilePosition | None = None,
    ) -> None:
        self.path = path
        self._stream = open_bytes(path)
        self._ended = False
        try:
            self.inode = self._stream.stat().st_ino
            self._head, header = self._read_start(format, position, max_record_bytes)
        except BaseException:
            self._stream.close()
            raise
        self.read_to = position.offset if position else 0
        """The offset behind the last byte fed, which may be beyond the last complete record."""
        self._buffer = RecordBuffer(
            format,
            file=str(path),
            partition=partition,
            max_record_bytes=max_record_bytes,
            offset=self.read_to,
            line=position.line if position else 1,
            header=header,
        )

    @property
    def ready(self) -> bool:
        """Whether there are records to take."""
        return self._buffer.ready

    @property
    def head(self) -> bytes:
        """The first bytes of the file, as far as they were fed, up to `HEAD`."""
        return self._head

    @property
    def offset(self) -> int:
        """The offset of the next record."""
        return self._buffer.offset

    @property
    def position(self) -> FilePosition:
        """Where the next record is."""
        buffer = self._buffer
        head = fingerprint(self._head[: buffer.offset])
        return FilePosition(self.inode, head, buffer.offset, buffer.line, self.path.name)

    @property
    def ended(self) -> bool:
        """Whether `end` was called."""
        return self._ended

    def read(self, limit: int = CHUNK) -> bytes:
        """Return the next bytes of the file, none at the end of what is there now; `feed` makes them count.

        Raises:
            SourceError: The file is torn, damaged, or can't be read.
        """
        try:
            return self._stream.read(min(limit, CHUNK))
        except OSError as error:
            raise SourceError(f"{self.path} can't be read at byte {self.read_to}: {error}") from error

    def feed(self, data: bytes) -> None:
        """Add bytes that `read` returned; only when nothing is `ready`.

        Raises:
            SourceError: A record is longer than allowed.
        """
        if len(self._head) < HEAD:
            self._head += data[: HEAD - len(self._head)]
        self.read_to += len(data)
        self._buffer.feed(data)

    def end(self) -> None:
        """Treat what was fed as the whole file: a last line without a line break is a record."""
        if not self._ended:
            self._ended = True
            self._buffer.end()

    def take(self, records: int, size: int, *, at_least_one: bool) -> Taken:
        """Hand out the next records; see `RecordBuffer.take`."""
        return self._buffer.take(records, size, at_least_one=at_least_one)

    def intact(self) -> bool:
        """Return whether what was read is still there: the file was neither cut nor written anew."""
        stat = self._stream.stat()
        return stat.st_size >= self.read_to and os.pread(self._stream.file.fileno(), len(self._head), 0) == self._head

    def stat(self) -> os.stat_result:
        """Return what the file system knows about the file now, also if it was renamed or removed."""
        return self._stream.stat()

    def progress(self) -> tuple[int, int]:
        """Return how many bytes were read of how many there are, both as they are on disk."""
        size = self.stat().st_size
        return (self._stream.file.tell() if is_compressed(self.path) else min(self.offset, size)), size

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _read_start(
        self, format: Format[Any], position: FilePosition | None, max_record_bytes: int
    ) -> tuple[bytes, bytes | None]:
        """Check that this is the position's file; return its first bytes and its header, and go to the position."""
        if position is None or position.offset == 0:
            return b"", None
        wanted = min(position.offset, HEAD)
        data = b""
        while len(data) < wanted and (more := self._stream.read(wanted - len(data))):
            data += more
        if fingerprint(data[:wanted]) != position.head:
            raise SourceError(
                f"{self.path} does not begin with the bytes that were read from it before: another file has taken the "
                "place of the one that the committed position is in. Put that one back, or reset the job"
            )
        head = data[:wanted]
        header: bytes | None = None
        while format.has_header and header is None:
            header = next((record for record in format.split(data)[0] if record.strip()), None)
            more = self._stream.read(CHUNK) if header is None else b""
            data += more
            if header is None and (not more or len(data) > max_record_bytes):
                header = data
        self._stream.seek(position.offset)
        return head, None if header is None else header.removesuffix(b"\r")
