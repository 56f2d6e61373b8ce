r"""Framing: where one frame ends and the next begins in the bytes of a connection. No I/O.

A frame becomes one record. The rules:

* A framer is fed the chunks of one connection, cut anywhere. It answers with *entries*: the bytes of one or more
  complete frames exactly as they were on the wire, delimiters and prefixes included. So what was received can be
  journaled without a step per frame. The entries one after the other are the stream up to the last complete frame.
* ``Framing.split`` turns an entry into its frames. It needs nothing but the entry. The same stream gives the same
  frames, whatever the chunks were.
* An entry is at most `ENTRY_BYTES` long, unless it is one single frame that is longer.
* A frame above ``max_frame_bytes`` is a failure of the connection. Frames before it were returned; it and all behind it
  never are. A framer that has failed keeps no bytes and answers nothing any more.
* At the end of the stream what is left is an incomplete frame, which is dropped: half a record must never pass for a
  whole one. Only lines can be told to keep it.

Lines: a frame ends with ``b"\n"``, which doesn't belong to it, nor does one ``b"\r"`` before it. ``max_frame_bytes``
counts the ``b"\r"``.

Length prefix: an unsigned big-endian integer of 1, 2, 4 or 8 bytes, then as many bytes. The prefix belongs neither to
the frame nor to the length.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Protocol

from streamproc.errors import PipelineError

__all__ = ["ENTRY_BYTES", "NDJSON", "Framer", "Framing", "LengthPrefixed", "Lines"]

ENTRY_BYTES = 64 * 1024
"""How long an entry may be: small enough for a batch to end near its limits, large enough to cost nothing per frame."""


class Framer(Protocol):
    """Finds the frames in the bytes of one connection."""

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are kept."""
        ...

    @property
    def failure(self) -> str | None:
        """What is wrong with the stream; None as long as nothing is."""
        ...

    def feed(self, chunk: bytes, /) -> list[bytes]:
        """Take the next bytes of the stream and return the entries that they complete; look at `failure` after it."""
        ...

    def end(self) -> list[bytes]:
        """Take the clean end of the stream and return the entries that it completes."""
        ...


class Framing(Protocol):
    """The definition of a framing: what the user chooses."""

    @property
    def tag(self) -> bytes:
        """One byte that stands for the way in which entries are to be split."""
        ...

    def framer(self, max_frame_bytes: int) -> Framer:
        """Return a framer for a new connection."""
        ...

    def split(self, entry: bytes) -> list[bytes]:
        """Return the frames of an entry, without delimiters and prefixes."""
        ...


@dataclass(frozen=True, slots=True)
class Lines:
    r"""One frame per line.

    Attributes:
        skip_blank: Whether lines of nothing but white space are left out instead of being frames.
        keep_last: Whether a last line without ``b"\n"`` counts if its connection was closed in order. But the kernel
            closes that of a sender that was killed in just the same way, so it may be half a line.
    """

    skip_blank: bool = False
    keep_last: bool = False

    @property
    def tag(self) -> bytes:
        """The same for all lines: blank ones are left out when splitting."""
        return b"L"

    def framer(self, max_frame_bytes: int) -> Framer:
        """Return a framer for a new connection."""
        return _LineFramer(max_frame_bytes, skip_blank=self.skip_blank, keep_last=self.keep_last)

    def split(self, entry: bytes) -> list[bytes]:
        """Return the lines of an entry."""
        if b"\r\n" in entry:
            entry = entry.replace(b"\r\n", b"\n")
        lines = entry.split(b"\n")
        del lines[-1]  # what is behind the entry's last delimiter: nothing
        return list(filter(bytes.strip, lines)) if self.skip_blank else lines


NDJSON = Lines(skip_blank=True)
"""Newline-delimited JSON: lines, of which blank ones (keep-alives) hold no value. Decode with `json_decoder`."""


@dataclass(frozen=True, slots=True)
class LengthPrefixed:
    """Each frame has its length before it, unsigned and big-endian.

    Attributes:
        width: How many bytes the length has: 1, 2, 4 or 8.
    """

    width: int = 4

    def __post_init__(self) -> None:
        if self.width not in _PREFIXES:
            raise PipelineError(f"LengthPrefixed(width={self.width}): expected 1, 2, 4 or 8 bytes")

    @property
    def tag(self) -> bytes:
        """The width as a digit."""
        return b"%d" % self.width

    def framer(self, max_frame_bytes: int) -> Framer:
        """Return a framer for a new connection."""
        return _LengthFramer(max_frame_bytes, self.width)

    def split(self, entry: bytes) -> list[bytes]:
        """Return the frames of an entry."""
        length = _PREFIXES[self.width].unpack_from
        frames: list[bytes] = []
        position = 0
        while position < len(entry):
            start = position + self.width
            position = start + length(entry, position)[0]
            frames.append(entry[start:position])
        return frames


_PREFIXES = {1: Struct(">B"), 2: Struct(">H"), 4: Struct(">I"), 8: Struct(">Q")}


class _LineFramer:
    """Finds lines by the last delimiter of a chunk."""

    def __init__(self, max_frame_bytes: int, *, skip_blank: bool, keep_last: bool) -> None:
        self._max = max_frame_bytes
        self._skip_blank = skip_blank
        self._keep_last = keep_last
        # A bytearray, because a stream of tiny chunks must neither be copied again and again nor kept as objects.
        self._rest = bytearray()
        self.failure: str | None = None

    @property
    def pending(self) -> int:
        return len(self._rest)

    def feed(self, chunk: bytes) -> list[bytes]:
        if self.failure is not None:
            return []
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._rest += chunk
            self._check_rest()
            return []
        complete = chunk[:end]
        if self._rest:
            complete = b"".join((self._rest, complete))
        self._rest = bytearray(memoryview(chunk)[end:])
        within = self._within_limit(complete)
        if within < len(complete):
            self._fail()
            complete = complete[:within]
        else:
            self._check_rest()
        return self._entries(complete)

    def end(self) -> list[bytes]:
        if not self._rest or not self._keep_last:
            return []
        last, self._rest = bytes(self._rest), bytearray()
        return self._entries(last + b"\n")

    def _check_rest(self) -> None:
        if len(self._rest) > self._max:
            self._fail()

    def _fail(self) -> None:
        self._rest = bytearray()
        self.failure = f"a line is longer than max_frame_bytes={self._max}"

    def _within_limit(self, lines: bytes) -> int:
        """Return how many bytes of some lines are before the first that is too long.

        Jumps from each delimiter to the last one that the limit lets it reach: no step per line.
        """
        start = 0
        while len(lines) - start > self._max + 1:
            delimiter = lines.rfind(b"\n", start, start + self._max + 1)
            if delimiter < 0:
                return start
            start = delimiter + 1
        return len(lines)

    def _entries(self, lines: bytes) -> list[bytes]:
        entries: list[bytes] = []
        start = 0
        while start < len(lines):
            end = len(lines)
            if end - start > ENTRY_BYTES:
                cut = lines.rfind(b"\n", start, start + ENTRY_BYTES)
                end = 1 + (cut if cut >= 0 else lines.index(b"\n", start + ENTRY_BYTES))
            entries.append(lines[start:end])
            start = end
        # An entry without a record would wake the job for nothing.
        return [entry for entry in entries if not entry.isspace()] if self._skip_blank else entries


class _LengthFramer:
    """Walks from prefix to prefix."""

    def __init__(self, max_frame_bytes: int, width: int) -> None:
        self._max = max_frame_bytes
        self._width = width
        self._length = _PREFIXES[width].unpack_from
        self._rest = bytearray()
        self._wanted = width
        """How many bytes the incomplete frame must have before it is worth looking at."""
        self.failure: str | None = None

    @property
    def pending(self) -> int:
        return len(self._rest)

    def feed(self, chunk: bytes) -> list[bytes]:
        if self.failure is not None:
            return []
        data = chunk
        if self._rest:
            self._rest += chunk
            if len(self._rest) < self._wanted:
                return []
            data = bytes(self._rest)
        entries: list[bytes] = []
        start = position = 0
        self._wanted = self._width
        while len(data) - position >= self._width:
            size = self._length(data, position)[0]
            if size > self._max:
                self.failure = f"a frame of {size} bytes is longer than max_frame_bytes={self._max}"
                break
            end = position + self._width + size
            if end > len(data):
                self._wanted = self._width + size
                break
            if end - start > ENTRY_BYTES and position > start:
                entries.append(data[start:position])
                start = position
            position = end
        if position > start:
            entries.append(data[start:position])
        self._rest = bytearray() if self.failure is not None else bytearray(memoryview(data)[position:])
        return entries

    def end(self) -> list[bytes]:
        return []
