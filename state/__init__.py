"""Keyed state: the store contract, its two implementations, the byte layout and typed tables."""

from .inspection import StateInspection, StoredEntry, VariableSize, find_states
from .keys import decode_key, encode_key
from .ledger import Identity, Ledger, OutboxRow, StoreJournal
from .memory import MemoryDisk, MemoryStore
from .rocksdb import RocksStore
from .store import Changes, Family, StateStore
from .tables import Table, Tables
from .timers import Timers

__all__ = [
    "Changes",
    "Family",
    "Identity",
    "Ledger",
    "MemoryDisk",
    "MemoryStore",
    "OutboxRow",
    "RocksStore",
    "StateInspection",
    "StateStore",
    "StoreJournal",
    "StoredEntry",
    "Table",
    "Tables",
    "Timers",
    "VariableSize",
    "decode_key",
    "encode_key",
    "find_states",
]
