"""The bytes of a file, decompressed by its suffix: ``.gz``, ``.zst``, or as they are.

Offsets count decompressed bytes. A compressed file can't be entered in its middle, so going to an offset reads and
drops what comes before it; that happens once after a restart. A compressed file may hold several members (gzip) or
frames (zstd), one after the other; one that is not complete at the end of the file is an error, because zstd's own
stream reader would end there without a word.
"""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from streamproc.errors import MissingExtraError, SourceError

__all__ = ["ByteStream", "is_compressed", "open_bytes"]

_SKIP = 1 << 20

# A piece of 4 KiB can't become more than 128 MiB of zstd or 4 MiB of gzip, whoever made it.
_PIECE = 4 << 10


class ByteStream(ABC):
    """An open file, read from some offset on.

    Attributes:
        path: Where it was opened.
        file: The file as it is on disk.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file

    @abstractmethod
    def read(self, size: int) -> bytes:
        """Return about ``size`` bytes from here on, none only at the end of what is there now.

        Raises:
            SourceError: The file is torn or damaged.
        """

    @abstractmethod
    def seek(self, offset: int) -> None:
        """Go to an offset; backwards, a compressed file is read from its start again.

        Raises:
            SourceError: The file is shorter.
        """

    def stat(self) -> os.stat_result:
        """Return what the file system knows about the open file, also if it was renamed or removed."""
        return os.fstat(self.file.fileno())

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _too_short(self, size: int, offset: int) -> SourceError:
        return SourceError(
            f"{self.path} has {size} bytes, but the committed position is at byte {offset}: the file was cut or "
            "replaced. Put the old file back, or reset the job"
        )


def is_compressed(path: Path) -> bool:
    """Return whether a file is decompressed when it is read."""
    return path.suffix in {".gz", ".zst"}


def open_bytes(path: Path) -> ByteStream:
    """Open a file for reading at its start.

    Raises:
        OSError: It can't be opened.
        MissingExtraError: It is compressed with zstd, and the package for that is not installed.
    """
    if path.suffix == ".gz":
        return _Compressed(path, path.open("rb"), lambda: zlib.decompressobj(wbits=31))
    if path.suffix == ".zst":
        new_frame = _zstd()
        return _Compressed(path, path.open("rb"), new_frame)
    return _Plain(path, path.open("rb", buffering=0))


class _Plain(ByteStream):
    def read(self, size: int) -> bytes:
        return self.file.read(size)

    def seek(self, offset: int) -> None:
        if (size := self.stat().st_size) < offset:
            raise self._too_short(size, offset)
        self.file.seek(offset)


class _Decompressor(Protocol):
    """Decompresses one member or frame: what zlib and zstandard have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _zstd() -> Callable[[], _Decompressor]:
    try:
        import zstandard  # noqa: PLC0415  # an extra: not needed by files of other kinds
    except ImportError:
        raise MissingExtraError("reading .zst files", "zstd") from None
    return lambda: zstandard.ZstdDecompressor().decompressobj()


class _Compressed(ByteStream):
    def __init__(self, path: Path, file: BinaryIO, new_frame: Callable[[], _Decompressor]) -> None:
        super().__init__(path, file)
        self._new_frame = new_frame
        self._frame: _Decompressor | None = None
        self._input = b""
        self._ready: list[bytes] = []
        self._offset = 0

    def read(self, size: int) -> bytes:
        ready, self._ready = self._ready, []
        length = sum(map(len, ready))
        while length < size and (piece := self._decompress()):
            ready.append(piece)
            length += len(piece)
        self._offset += length
        return b"".join(ready)

    def seek(self, offset: int) -> None:
        if offset < self._offset:
            self.file.seek(0)
            self._frame, self._input, self._ready, self._offset = None, b"", [], 0
        while self._offset < offset:
            data = self.read(_SKIP)
            if not data:
                raise self._too_short(self._offset, offset)
            if self._offset > offset:
                self._ready = [data[offset - self._offset :]]
                self._offset = offset

    def _decompress(self) -> bytes:
        """Return the next piece, none only at the end of the file."""
        while True:
            data = self._input or self.file.read(_PIECE)
            self._input = b""
            if not data:
                if self._frame is not None:
                    raise SourceError(
                        f"{self.path} is torn: it ends in the middle of compressed data, behind byte {self._offset} "
                        "of its content. Files must be complete when they appear: write them aside and rename them"
                    )
                return b""
            if self._frame is None:
                # gzip allows zeros behind a member, as padding to a block of tape.
                data = data.lstrip(b"\0")
                if not data:
                    continue
                self._frame = self._new_frame()
            try:
                result = self._frame.decompress(data)
            except Exception as error:  # each library raises its own
                raise SourceError(
                    f"{self.path} can't be decompressed behind byte {self._offset} of its content: {error}"
                ) from error
            if self._frame.eof:
                self._input = self._frame.unused_data
                self._frame = None
            if result:
                return result
