"""Framing: whatever the chunks, the same frames."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.connectors.tcp import NDJSON, Framing, LengthPrefixed, Lines
from streamproc.connectors.tcp.framing import ENTRY_BYTES
from streamproc.errors import PipelineError

streams = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\r\n", b"def" * 5])).map(b"".join)
cuts = st.lists(st.integers(0, 200))
limits = st.integers(1, 40)
frames = st.lists(st.binary(max_size=30))
widths = st.sampled_from([1, 2, 4, 8])


def feed(framing: Framing, chunks: list[bytes], max_frame_bytes: int = 1 << 20) -> tuple[list[bytes], bool]:
    """Return the frames of a stream that ends in order, and whether it failed."""
    framer = framing.framer(max_frame_bytes)
    entries = [entry for chunk in chunks for entry in framer.feed(chunk)]
    entries += framer.end()
    return [frame for entry in entries for frame in framing.split(entry)], framer.failure is not None


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(position, len(stream)) for position in at), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def prefixed(frames: list[bytes], width: int) -> bytes:
    return b"".join(len(frame).to_bytes(width, "big") + frame for frame in frames)


@given(streams, cuts, limits)
def test_lines_are_those_of_the_stream_up_to_the_first_that_is_too_long(
    stream: bytes, at: list[int], most: int
) -> None:
    expected: list[bytes] = []
    too_long = False
    for line in BytesIO(stream):
        too_long = len(line.removesuffix(b"\n")) > most
        if too_long:
            break
        ended = line.removesuffix(b"\n")
        # A last line without a delimiter is delivered as if it had one.
        expected.append(ended.removesuffix(b"\r"))
    assert feed(Lines(keep_last=True), cut(stream, at), most) == (expected, too_long)


@given(streams, cuts)
def test_ndjson_has_no_blank_lines(stream: bytes, at: list[int]) -> None:
    lines, _ = feed(Lines(), cut(stream, at))
    assert feed(NDJSON, cut(stream, at)) == ([line for line in lines if line.strip()], False)


@given(streams, cuts)
def test_an_entry_without_a_record_is_no_entry(stream: bytes, at: list[int]) -> None:
    framer = NDJSON.framer(1 << 20)
    entries = [entry for chunk in cut(stream, at) for entry in framer.feed(chunk)]
    assert all(NDJSON.split(entry) for entry in entries)


@given(streams, cuts)
def test_entries_are_the_stream_up_to_the_last_delimiter_as_it_came(stream: bytes, at: list[int]) -> None:
    framer = Lines().framer(1 << 20)
    entries = [entry for chunk in cut(stream, at) for entry in framer.feed(chunk)]
    assert framer.end() == []
    assert b"".join(entries) == stream[: stream.rfind(b"\n") + 1]
    assert framer.pending == len(stream) - len(b"".join(entries))


@given(frames, widths, cuts, limits)
def test_prefixed_frames_come_out_up_to_the_first_that_is_too_long(
    frames: list[bytes], width: int, at: list[int], most: int
) -> None:
    too_long = [index for index, frame in enumerate(frames) if len(frame) > most]
    expected = frames[: too_long[0]] if too_long else frames
    framing = LengthPrefixed(width)
    assert feed(framing, cut(prefixed(frames, width), at), most) == (expected, bool(too_long))


@given(st.binary(min_size=1, max_size=30), widths, cuts, st.integers(1, 30))
def test_a_prefixed_frame_that_is_cut_off_is_dropped(frame: bytes, width: int, at: list[int], missing: int) -> None:
    stream = prefixed([b"whole", frame], width)[: -min(missing, len(frame))]
    framer = LengthPrefixed(width).framer(1 << 20)
    entries = [entry for chunk in cut(stream, at) for entry in framer.feed(chunk)]
    assert b"".join(entries) == prefixed([b"whole"], width)
    assert framer.end() == []
    assert framer.pending > 0


@pytest.mark.parametrize("chunk_bytes", [1_000, 65_536, 1 << 20])
def test_an_entry_is_short_or_one_single_frame(chunk_bytes: int) -> None:
    lines = [b"%d" % number * (number % 9 + 1) for number in range(30_000)]
    lines[777] = lines[20_000] = b"x" * 3 * ENTRY_BYTES
    for framing, stream in (
        (Lines(), b"".join(line + b"\n" for line in lines)),
        (LengthPrefixed(4), prefixed(lines, 4)),
    ):
        framer = framing.framer(4 * ENTRY_BYTES)
        chunks = [stream[start : start + chunk_bytes] for start in range(0, len(stream), chunk_bytes)]
        entries = [entry for chunk in chunks for entry in framer.feed(chunk)]
        assert b"".join(entries) == stream
        assert [line for entry in entries for line in framing.split(entry)] == lines
        assert [len(framing.split(entry)) for entry in entries if len(entry) > ENTRY_BYTES] == [1, 1]


@pytest.mark.parametrize(
    ("framing", "before", "behind"), [(Lines(), b"", b"\n"), (LengthPrefixed(4), b"\x00\x10\x00\x01", b"x")]
)
def test_a_long_frame_in_tiny_chunks_is_not_copied_again_and_again(
    framing: Framing, before: bytes, behind: bytes
) -> None:
    # A megabyte a byte at a time: a second if linear, minutes if each chunk copied what is there.
    size = 1 << 20
    framer = framing.framer(size + 1)
    assert framer.feed(before) == []
    assert all(framer.feed(b"x") == [] for _ in range(size))
    assert framer.pending == len(before) + size
    assert framer.feed(behind) == [before + b"x" * size + behind]


def test_a_failed_framer_keeps_and_answers_nothing() -> None:
    for framing in (Lines(), LengthPrefixed(1)):
        framer = framing.framer(3)
        framer.feed(b"\x04\x04\x04\x04")
        assert framer.failure is not None
        assert "max_frame_bytes=3" in framer.failure
        assert (framer.feed(b"\x01a\n"), framer.end(), framer.pending) == ([], [], 0)


def test_a_length_has_one_of_four_widths() -> None:
    with pytest.raises(PipelineError, match="1, 2, 4 or 8"):
        LengthPrefixed(3)
