"""The state store on disk: one RocksDB for one shard.

Each `Family` is a column family. A commit is one WriteBatch, written to the write-ahead log without waiting for the
disk and then synced in a thread: `write` holds the interpreter's lock while it waits, `flush_wal` does not.

What keeps a damaged file from becoming a wrong answer:

* each block, log record and MANIFEST record has a checksum, which RocksDB verifies on reading;
* scans ask the iterator for its status when it ends (rocksdict's ``items()``, ``keys()`` and ``values()`` don't: they
  just end at a damaged block);
* the MANIFEST tracks the write-ahead logs that are closed, so that a missing or shortened one is noticed;
* the mark (`streamproc.state.mark`) covers what is left: the end of the open log and the MANIFEST itself;
* recovery goes up to the first damaged record of a log and no further (point in time): the mark then says whether that
  was the torn end of a write that was never acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import threading
import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import rocksdict

from streamproc.errors import CorruptStateError, StateError, StateFormatError, StateLockedError

from .lock import DirectoryLock
from .mark import Mark
from .store import Changes, Family

__all__ = ["RocksStore"]

# rocksdict has no setter for this option; it reads it from a file of RocksDB's own format.
_TRACKED_LOGS: Final = """\
[Version]
  rocksdb_version=9.8.4
  options_file_version=1.1
[DBOptions]
  track_and_verify_wals_in_manifest=true
[CFOptions "default"]
[TableOptions/BlockBasedTable "default"]
"""
_RAW_MODE: Final = '{"raw_mode":true,"prefix_extractors":{}}'
_MEBIBYTE: Final = 1 << 20


class RocksStore:
    """A `streamproc.state.StateStore` in a directory. Make it with `RocksStore.open`."""

    def __init__(
        self, directory: Path, lock: DirectoryLock, mark: Mark, db: rocksdict.Rdict, *, read_only: bool
    ) -> None:
        self._directory = directory
        self._read_only = read_only
        self._lock = lock
        self._mark = mark
        self._db: rocksdict.Rdict | None = db
        self._families = {family: db.get_column_family(family.value) for family in Family}
        self._handles = {family: db.get_column_family_handle(family.value) for family in Family}
        self._cursors: weakref.WeakSet[_Cursor] = weakref.WeakSet()
        self._failed = False
        # RocksDB must not be closed while a thread syncs it: a commit may be cancelled, its thread can't.
        self._syncing = threading.Lock()

    @classmethod
    def open(
        cls, directory: str | os.PathLike[str], *, cache_bytes: int = 64 * _MEBIBYTE, read_only: bool = False
    ) -> RocksStore:
        """Open the store in a directory, which is made if it is not there.

        Args:
            directory: Holds this store and nothing else.
            cache_bytes: The memory for cached blocks and for writes that are not yet in sorted files, together.
            read_only: Only look: no file is changed (rocksdict writes its configuration again as it is), and there must
                be a store. Others may look at the same time; none may write.

        Raises:
            StateLockedError: Another process, or another app in this one, has it open.
            CorruptStateError: A file is damaged or missing.
            StateFormatError: The store was made by another version of streamproc.
            StateError: The directory can't be made or used.
        """
        path = Path(directory).absolute()
        try:
            if not read_only:
                path.mkdir(parents=True, exist_ok=True)
            lock = DirectoryLock(path, shared=read_only)
        except OSError as error:
            raise StateError(f"the state directory {path} can't be used: {error}") from error
        try:
            mark = Mark(path)
            if read_only and not mark.exists():
                raise StateError(f"{path} holds no state store: there is nothing to read")
            mark.verify()
            logs = sorted(name for name in os.listdir(path) if name.endswith(".log"))
            with _translated(path, "opened", logs):
                db = _open_database(path, cache_bytes, read_only=read_only)
        except BaseException:
            lock.release()
            raise
        store = cls(path, lock, mark, db, read_only=read_only)
        # A reference in the frame of an error would keep the database open, and locked.
        del db
        try:
            sequence = store._opened().latest_sequence_number()
            mark.arrived(sequence, logs)
            if not read_only:
                store._sync(sequence)
        except BaseException:
            store._failed = True
            store.close()
            raise
        return store

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of keys, in order; None for a key that is not there.

        Raises:
            CorruptStateError: A file can't be read as it was written.
        """
        self._opened()
        with _translated(self._directory, "read"):
            # The stub knows only single gets.
            values: list[bytes | None] = self._families[family].get(list(keys))  # type: ignore[assignment]
            return values

    def scan(self, family: Family, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield the entries with ``start <= key < end`` in the order of their keys, as they are at the first step.

        Raises:
            CorruptStateError: A file can't be read as it was written; a scan never just ends there.
        """
        self._opened()
        if end is not None and end <= start:
            return
        options = rocksdict.ReadOptions()
        if end is not None:
            options.set_iterate_upper_bound(end)
        with _translated(self._directory, "scanned"):
            cursor = _Cursor(self._families[family].iter(options))
            self._cursors.add(cursor)
            cursor.seek(start)
        while True:
            with _translated(self._directory, "scanned"):
                entries = cursor.read(256)
            if not entries:
                return
            yield from entries

    def append(self, family: Family, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Put entries atomically, safe from the death of the process but not yet of the machine."""
        self._write(Changes(puts=[(family, key, value) for key, value in entries]))

    async def commit(self, changes: Changes) -> None:
        """Apply changes atomically; when it returns they survive the death of the machine, and all appends before do.

        Raises:
            StateError: The write failed; whether it will be seen after a restart is unknown, so the shard must stop.
        """
        sequence = self._write(changes)
        await asyncio.to_thread(self._sync, sequence)

    def size_bytes(self) -> int:
        """Return about how many bytes the store takes on disk."""
        self._opened()
        size = 0
        with os.scandir(self._directory) as files:
            for file in files:
                # RocksDB may delete one meanwhile.
                with suppress(FileNotFoundError):
                    size += file.stat().st_size
        return size

    def close(self) -> None:
        """Release the store and its lock; nothing is lost. May be called twice."""
        if self._db is None:
            return
        try:
            if not (self._failed or self._read_only):
                self._sync(self._db.latest_sequence_number())
        finally:
            with self._syncing:
                db, self._db = self._db, None
            # The database stays open, and locked, as long as one object of it lives.
            for cursor in self._cursors:
                cursor.release()
            self._families.clear()
            self._handles.clear()
            try:
                with _translated(self._directory, "closed"):
                    db.close()
            finally:
                del db
                self._lock.release()

    def _opened(self) -> rocksdict.Rdict:
        if self._db is None:
            raise StateError(f"the state store in {self._directory} is closed: open it again")
        return self._db

    def _write(self, changes: Changes) -> int:
        """Write changes as far as the operating system, and return the sequence number of the last one."""
        self._opened()
        if self._read_only:
            raise StateError(f"the state store in {self._directory} was opened to be read only")
        with self._failing("written"):
            self._opened().write(self._batch(changes))
            return self._opened().latest_sequence_number()

    def _batch(self, changes: Changes) -> rocksdict.WriteBatch:
        handles = self._handles
        batch = rocksdict.WriteBatch(raw_mode=True)
        for family, start, end in changes.ranges:
            # RocksDB gives an empty range a sequence number that it does not find again when it replays the log.
            if start < end:
                batch.delete_range(start, end, handles[family])
        for family, key in changes.deletes:
            batch.delete(key, handles[family])
        put = batch.put
        for family, key, value in changes.puts:
            put(key, value, handles[family])
        return batch

    def _sync(self, sequence: int) -> None:
        """Bring what is written to the disk, and note that it goes up to a sequence number."""
        with self._failing("synced"), self._syncing:
            self._opened().flush_wal(True)
            self._mark.write(sequence)

    @contextmanager
    def _failing(self, doing: str) -> Generator[None]:
        """Translate errors, after which the mark must not be moved any more."""
        try:
            with _translated(self._directory, doing):
                yield
        except BaseException:
            self._failed = True
            raise


class _Cursor:
    """An iterator of RocksDB that `RocksStore.close` can release, whoever still holds the scan."""

    def __init__(self, iterator: rocksdict.RdictIter) -> None:
        self._iterator: rocksdict.RdictIter | None = iterator

    def seek(self, start: bytes) -> None:
        if self._iterator is not None:
            self._iterator.seek(start)

    def read(self, limit: int) -> list[tuple[bytes, bytes]]:
        """Return the next entries, at most ``limit``; fewer at the end."""
        if self._iterator is None:
            raise StateError("the state store was closed during a scan")
        valid, key, value, step = self._iterator.valid, self._iterator.key, self._iterator.value, self._iterator.next
        entries: list[tuple[bytes, bytes]] = []
        try:
            while len(entries) < limit and valid():
                entries.append((key(), value()))
                step()
            if len(entries) < limit:
                # Raises if the iterator ended at something it could not read.
                self._iterator.status()
        finally:
            # An error keeps its frames, and these methods would keep the iterator, and it the database.
            del valid, key, value, step
        return entries

    def release(self) -> None:
        self._iterator = None


def _open_database(directory: Path, cache_bytes: int, *, read_only: bool) -> rocksdict.Rdict:
    cache = rocksdict.Cache(cache_bytes)
    options = _database_options()
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_paranoid_checks(True)
    options.set_wal_recovery_mode(rocksdict.DBRecoveryMode.point_in_time())
    options.set_write_buffer_manager(
        rocksdict.WriteBufferManager.new_write_buffer_manager_with_cache(cache_bytes // 2, False, cache)
    )
    options.set_max_total_wal_size(64 * _MEBIBYTE)
    # RocksDB's own log files; by default it keeps a thousand.
    options.set_keep_log_file_num(4)
    options.set_max_log_file_size(_MEBIBYTE)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    access = rocksdict.AccessType.read_only() if read_only else rocksdict.AccessType.read_write()
    families = {family.value: _family_options(cache) for family in Family}
    return rocksdict.Rdict(str(directory), options, families, access)


def _database_options() -> rocksdict.Options:
    with tempfile.TemporaryDirectory() as directory:
        for name, content in (
            ("OPTIONS-000001", _TRACKED_LOGS),
            ("CURRENT", "MANIFEST-000001\n"),
            ("rocksdict-config.json", _RAW_MODE),
        ):
            Path(directory, name).write_text(content, encoding="ascii")
        return rocksdict.Options.load_latest(directory)[0]


def _family_options(cache: rocksdict.Cache) -> rocksdict.Options:
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_block_cache(cache)
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
    blocks.set_bloom_filter(10, False)
    blocks.set_checksum_type(rocksdict.ChecksumType.xxh3())
    options = rocksdict.Options(raw_mode=True)
    options.set_block_based_table_factory(blocks)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    options.set_write_buffer_size(16 * _MEBIBYTE)
    return options


@contextmanager
def _translated(directory: Path, doing: str, logs: Sequence[str] = ()) -> Generator[None]:
    """Raise the errors of RocksDB as those of streamproc; ``logs`` are its write-ahead logs, if it reads them now."""
    try:
        yield
    except StateError:
        raise
    except Exception as error:  # rocksdict has no class of its own for the errors of RocksDB
        message = str(error)
        if "lock hold by" in message or "While lock file" in message:
            raise StateLockedError(f"the state directory {directory} is open in another process: {message}") from error
        if "olumn families not opened" in message:
            raise StateFormatError(
                f"the state directory {directory} was made by a newer version of streamproc: use that one ({message})"
            ) from error
        if message.startswith("Corruption") or "No such file" in message:
            raise CorruptStateError(
                f"the state in {directory} can't be {doing}: {_damaged_file(directory, message, logs)} is damaged or "
                f"missing: restore the directory from a backup, or delete it to start anew ({message})"
            ) from error
        raise StateError(f"the state in {directory} can't be {doing}: {message}") from error


def _damaged_file(directory: Path, message: str, logs: Sequence[str]) -> str:
    named = re.search(r"\d{6,}\.(sst|log)|MANIFEST-\d+|CURRENT", message)
    if named:
        return str(directory / named[0])
    numbered = re.search(r"log number: (\d+)", message)
    if numbered:
        return str(directory / f"{int(numbered[1]):06}.log")
    if "WAL" in message and logs:
        return f"one of the write-ahead logs {', '.join(logs)}"
    return "one of its files"
