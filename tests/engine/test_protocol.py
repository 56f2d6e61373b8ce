"""The commit protocol's decisions, as the table in `streamproc.engine.protocol` has them."""

from __future__ import annotations

import pytest

from streamproc.engine.protocol import BatchProtocol, Waiting, recover
from streamproc.errors import PlanChangedError, SinkBehindStateError, StateBehindSinkError


def test_after_a_clean_stop_there_is_nothing_to_publish() -> None:
    assert recover(7, [], {"files": 7, "console": None}, acknowledged={}, where="d") == []


def test_a_batch_that_the_sink_does_not_know_is_published_again() -> None:
    outbox = [Waiting(7, "files"), Waiting(7, "console")]
    assert recover(7, outbox, {"files": 6, "console": None}, acknowledged={}, where="d") == outbox


def test_a_batch_that_the_sink_has_published_is_not_published_again() -> None:
    outbox = [Waiting(6, "files"), Waiting(7, "files")]
    assert recover(7, outbox, {"files": 6}, acknowledged={}, where="d") == [Waiting(7, "files")]
    assert recover(7, outbox, {"files": 7}, acknowledged={}, where="d") == []


def test_a_new_sink_knows_no_batch_and_starts_with_the_next() -> None:
    assert recover(7, [], {"files": None}, acknowledged={}, where="d") == []


def test_a_sink_ahead_of_the_state_is_refused() -> None:
    with pytest.raises(StateBehindSinkError, match="published batch 9, but the state in /state/x ends with batch 7"):
        recover(7, [], {"files": 9}, acknowledged={}, where="/state/x")


def test_a_sink_that_has_lost_what_it_acknowledged_is_refused() -> None:
    with pytest.raises(SinkBehindStateError, match=r"batch 5 is the last one .* but it had acknowledged batch 6"):
        recover(7, [Waiting(7, "files")], {"files": 5}, acknowledged={"files": 6}, where="d")
    assert recover(7, [], {"files": None}, acknowledged={"files": 6}, where="d") == []


def test_outputs_for_a_sink_that_is_gone_are_never_lost() -> None:
    with pytest.raises(PlanChangedError, match="'old'"):
        recover(7, [Waiting(7, "old")], {"new": None}, acknowledged={}, where="d")


def test_a_commit_waits_while_too_many_batches_are_in_flight() -> None:
    protocol = BatchProtocol(committed=3, max_in_flight=2)
    assert protocol.next_batch == 4
    protocol.on_committed(4)
    allowed = [protocol.may_commit]
    protocol.on_committed(5)
    allowed.append(protocol.may_commit)
    protocol.on_published(4)
    allowed.append(protocol.may_commit)
    assert allowed == [True, False, True]
    assert (protocol.committed, protocol.published, protocol.in_flight) == (5, 4, 1)


def test_batches_are_committed_and_published_in_order() -> None:
    protocol = BatchProtocol(committed=0, max_in_flight=5)
    with pytest.raises(AssertionError):
        protocol.on_committed(2)
    protocol.on_committed(1)
    protocol.on_committed(2)
    with pytest.raises(AssertionError):
        protocol.on_published(2)
