"""Both stores keep the contract of a state store."""

from __future__ import annotations

from pathlib import Path

from streamproc.state import MemoryDisk, MemoryStore, RocksStore
from streamproc.testing.stores import check_store


async def test_the_memory_store_keeps_the_contract() -> None:
    disk = MemoryDisk()
    await check_store(lambda: MemoryStore.open(disk))


async def test_the_store_on_rocksdb_keeps_the_contract(tmp_path: Path) -> None:
    await check_store(lambda: RocksStore.open(tmp_path / "state"))
