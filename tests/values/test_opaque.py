"""Values of classes that make bytes of themselves."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Any

import pytest

from streamproc import Aggregate, App, Asap, Sliding, Tumbling
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.errors import DecodeError, EncodeError
from streamproc.testing import Driver
from streamproc.values import Opaque, PlainObject, decode_plain, decode_value, encode_value
from streamproc.windowing import WindowAssigner
from tests.values.kinds import Bits, Both


@pytest.mark.parametrize(
    "value",
    [
        Bits(5),
        [Bits(5), Bits(6)],
        (Bits(5), [Both(Bits(1), "one"), Both(Bits(2), "two")]),
        {"a": Bits(7), "b": 1},
    ],
)
def test_it_is_read_back_wherever_it_is(value: object) -> None:
    assert decode_value(encode_value(value)) == value


def test_another_process_reads_it_when_it_has_imported_the_class() -> None:
    data = encode_value([Bits(3), Bits(4)])
    program = """
import sys
{}
from streamproc.values import decode_value, encode_value
sys.stdout.buffer.write(encode_value(decode_value(sys.stdin.buffer.read())))
"""
    command = [sys.executable, "-c", program.format("import tests.values.kinds")]
    assert subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout == data
    command = [sys.executable, "-c", program.format("")]
    failed = subprocess.run(command, input=data, capture_output=True, check=False)
    assert b"the module tests.values.kinds is not imported" in failed.stderr


def test_without_the_class_there_are_the_bytes() -> None:
    plain = decode_plain(encode_value(Bits(1)))
    assert isinstance(plain, PlainObject)
    assert (plain.class_name, plain.fields) == ("tests.values.kinds:Bits", {"bytes": bytes(7) + b"\1"})


def test_a_class_inside_a_function_is_refused_before_it_is_written() -> None:
    class Local(Bits):
        pass

    with pytest.raises(EncodeError, match="define it at the top of its module"):
        encode_value(Local(1))


def test_bytes_that_the_class_refuses_are_a_decode_error() -> None:
    data = encode_value(Bits(1))
    assert data[-9] == 8, "the length of the bytes"
    with pytest.raises(DecodeError, match="expected 8 bytes, got 7"):
        decode_value(data[:1] + bytes([data[1] - 1]) + data[2:-9] + b"\7" + data[-8:-1])


def test_only_a_class_that_says_it_is_opaque_is_made_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_value(Bits(1))

    class Dangerous:
        @classmethod
        def from_bytes(cls, data: bytes) -> None:
            raise AssertionError("bytes called a method of any class")

    module = types.ModuleType("tests.values.kinds")
    Dangerous.__module__, Dangerous.__qualname__ = module.__name__, "Bits"
    module.Bits = Dangerous  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(DecodeError, match="expected exactly"):
        decode_value(data)


def test_it_has_to_say_how() -> None:
    class Half(Opaque):
        def to_bytes(self) -> bytes:
            return b""

    with pytest.raises(TypeError, match="from_bytes"):
        Half()  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]


def bits() -> Aggregate[int, Bits, list[int]]:
    """Return an aggregate with an accumulator of its own: a set of small numbers."""

    def add(total: Bits, number: int) -> Bits:
        total.number |= 1 << number
        return total

    def merge(total: Bits, other: Bits) -> Bits:
        total.number |= other.number
        return total

    return Aggregate(
        "bits",
        create=lambda number: Bits(1 << number),
        add=add,
        merge=merge,
        result=lambda total: [number for number in range(64) if total.number >> number & 1],
        copy=lambda total: Bits(total.number),
    )


@pytest.mark.parametrize("assigner", [Tumbling("10ms"), Sliding("10ms", every="5ms")], ids=str)
async def test_an_accumulator_of_ones_own_lives_through_a_restart(assigner: WindowAssigner) -> None:
    source, sink = MemorySource[int](), MemorySink[Any]()
    app = App("bits", trigger=Asap())
    app.source(source).event_time(lambda number: number).window(assigner).aggregate(bits()).to(sink)
    driver = Driver(app)
    await driver.start()
    source.send([5, 7])
    await driver.settle()
    await driver.stop()
    await driver.restart()
    source.send([6, 8])
    source.close()
    await driver.settle()
    await driver.finish()
    assert [result.value for result in sink.values if result.start == 0] == [[5, 6, 7, 8]]
