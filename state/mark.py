"""The mark: a small file beside RocksDB's own, by which a store knows on opening that it has all that was committed.

RocksDB checks the bytes it reads, but it can't know what is no longer there: a write-ahead log that was cut or deleted
looks like one whose last write was torn by a crash, and so does the MANIFEST, its list of files. Both then open without
complaint on an older state. The mark tells the two apart. It is rewritten in place behind each commit, after its fsync,
so what it says is never more than what is on disk, whenever process or machine die. Layout, 48 bytes:

    8    "STRPMRK1"
    8    the sequence number of the last committed write in RocksDB
    8    the number of the MANIFEST at that time
    8    its length at that time, all of it fsynced
    8    CRC-32 of that many bytes
    8    CRC-32 of the 40 bytes before

Integers are big-endian. The mark is made before the database, so a database without a mark has lost it.

On opening: the mark must be there and intact; CURRENT must name a MANIFEST that is there, with the number in the mark
or a larger one (RocksDB starts a new MANIFEST when it opens a database, and when one grows large); the marked MANIFEST,
if it is the current one, must begin with the bytes that were marked; and RocksDB must arrive at the marked sequence
number. What lies between the last commit and the crash, appended data, is not covered.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from pathlib import Path
from typing import Final

from streamproc.errors import CorruptStateError

__all__ = ["Mark"]

_LAYOUT: Final = struct.Struct(">8sQQQQ")
_MAGIC: Final = b"STRPMRK1"
_REPAIR: Final = "restore the directory from a backup, or delete it to start anew"


class Mark:
    """The mark of one state directory.

    Args:
        directory: The state directory, which exists.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "COMMITTED"
        self._sequence = 0
        self._manifest = self._length = self._crc = 0

    def exists(self) -> bool:
        """Return whether there is a mark: whether the directory holds a state store."""
        return self._path.is_file()

    def verify(self) -> None:
        """Check the files before RocksDB opens them; make the mark if there is no database yet.

        Raises:
            CorruptStateError: A file is damaged or missing.
        """
        if self._path.exists():
            self._read()
            # Without a number the very first opening was cut short, and nothing was ever committed.
            if self._manifest:
                self._verify_manifest(self._current())
        elif any(re.fullmatch(r"CURRENT|MANIFEST-\d+|\d+\.(sst|log)", name) for name in os.listdir(self._directory)):
            raise CorruptStateError(f"{self._path} is missing, which says how much was committed: {_REPAIR}")
        else:
            self._create()

    def arrived(self, sequence: int, logs: list[str]) -> None:
        """Check the sequence number that RocksDB arrived at when it opened the database.

        Args:
            sequence: The sequence number.
            logs: The names of the write-ahead logs it read, for the message.

        Raises:
            CorruptStateError: Committed writes are missing.
        """
        if sequence < self._sequence:
            found = f"the last one is {self._directory / logs[-1]}" if logs else f"there is none in {self._directory}"
            raise CorruptStateError(
                f"a write-ahead log is damaged or missing ({found}): it ends with write {sequence}, but "
                f"{self._sequence} was committed: {_REPAIR}"
            )

    def write(self, sequence: int) -> None:
        """Note that everything up to a sequence number is on disk."""
        manifest = self._current()
        number = int(manifest.name.removeprefix("MANIFEST-"))
        if number != self._manifest:
            self._manifest, self._length, self._crc = number, 0, 0
        if manifest.stat().st_size > self._length:
            with manifest.open("rb") as file:
                file.seek(self._length)
                added = file.read()
                # Otherwise the mark could reach the disk before the bytes that it speaks of.
                os.fsync(file.fileno())
            self._length += len(added)
            self._crc = zlib.crc32(added, self._crc)
        self._sequence = sequence
        # One write within one sector: it is there or it is not.
        with self._path.open("r+b", buffering=0) as file:
            file.write(self._content())

    def _content(self) -> bytes:
        body = _LAYOUT.pack(_MAGIC, self._sequence, self._manifest, self._length, self._crc)
        return body + zlib.crc32(body).to_bytes(8, "big")

    def _create(self) -> None:
        aside = self._path.with_suffix(".new")
        with aside.open("wb") as file:
            file.write(self._content())
            file.flush()
            os.fsync(file.fileno())
        aside.rename(self._path)
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _read(self) -> None:
        content = self._path.read_bytes()
        body = content[: _LAYOUT.size]
        if content[_LAYOUT.size :] != zlib.crc32(body).to_bytes(8, "big") or not body.startswith(_MAGIC):
            raise CorruptStateError(f"{self._path} is damaged: {_REPAIR}")
        _, self._sequence, self._manifest, self._length, self._crc = _LAYOUT.unpack(body)

    def _current(self) -> Path:
        """Return the MANIFEST that CURRENT names."""
        current = self._directory / "CURRENT"
        try:
            name = current.read_bytes()
        except FileNotFoundError:
            raise CorruptStateError(f"{current} is missing: {_REPAIR}") from None
        if not re.fullmatch(rb"MANIFEST-\d{6,}\n", name):
            raise CorruptStateError(f"{current} is damaged, it should name a MANIFEST: {name[:40]!r}: {_REPAIR}")
        return self._directory / name.decode().strip()

    def _verify_manifest(self, manifest: Path) -> None:
        try:
            content = manifest.read_bytes()
        except FileNotFoundError:
            raise CorruptStateError(
                f"{manifest} is missing, or CURRENT is damaged, which names it: {_REPAIR}"
            ) from None
        number = int(manifest.name.removeprefix("MANIFEST-"))
        if number < self._manifest:
            raise CorruptStateError(
                f"{manifest} is older than the MANIFEST of the last commit, or CURRENT is: {_REPAIR}"
            )
        if number == self._manifest and (
            len(content) < self._length or zlib.crc32(content[: self._length]) != self._crc
        ):
            raise CorruptStateError(f"{manifest} is damaged: {_REPAIR}")
