"""Several aggregates in one pass: what they give, as what, and what is refused while the pipeline is built."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, assert_type

import msgspec
import pytest

from streamproc import (
    Aggregate,
    Aggregates,
    App,
    KeyedStream,
    KeyedWindowedStream,
    KeyedWindowResults,
    PipelineError,
    Record,
    Stream,
    Tumbling,
    WindowedStream,
    WindowResults,
    collect,
    count,
    first,
    max_of,
    quantile,
    reducing,
    sum_of,
)
from streamproc.connectors.memory import MemorySource
from streamproc.testing import run
from streamproc.values import decode_plain, decode_value, encode_value
from streamproc.windowing import several


class Call(Record):
    page: str
    ms: float


class Stats(Record):
    n: int
    slowest: float
    unit: str = "ms"


class Point(NamedTuple):
    n: int
    slowest: float


@dataclass(frozen=True)
class Pair:
    n: int
    slowest: float


CALLS = [Call("/a", 3.0), Call("/b", 5.0), Call("/a", 4.0)]


def windows(calls: Stream[Call]) -> WindowedStream[Call]:
    return calls.window(Tumbling("1s"))


def windows_of_pages(calls: Stream[Call]) -> KeyedWindowedStream[str, Call]:
    return calls.key_by(lambda call: call.page).window(Tumbling("1s"))


def slowest() -> Aggregate[Call, float, float]:
    return max_of(lambda call: call.ms)


def test_results_are_fields_of_one_object() -> None:
    [result] = run(CALLS, lambda calls: windows(calls).aggregate(n=count(), slowest=slowest()))
    value = result.value
    assert (value.n, value.slowest, repr(value)) == (3, 5.0, "Aggregates(n=3, slowest=5.0)")
    with pytest.raises(AttributeError, match="immutable"):
        value.n = 4
    with pytest.raises(AttributeError, match="total"):
        _ = value.total


def test_two_results_are_equal_if_their_names_and_values_are() -> None:
    def made(**aggregates: Aggregate[Any, Any, Any]) -> Any:
        one = several(**aggregates)
        return one.result(one.create("ab"))

    assert made(n=count(), size=max_of(len)) == made(n=count(), size=sum_of(len))
    assert hash(made(n=count())) == hash(made(n=count()))
    assert made(n=count(), size=max_of(len)) != made(size=max_of(len), n=count())
    assert made(n=count()) != made(m=count())
    assert isinstance(made(n=count()), Aggregates)


def test_sinks_write_them_as_records() -> None:
    [result] = run(CALLS, lambda calls: windows(calls).aggregate(n=count(), slowest=slowest()))
    assert msgspec.json.encode(result) == b'{"start":0,"end":1000,"value":{"n":3,"slowest":5.0}}'


@pytest.mark.parametrize("into", [Stats, Point, Pair])
def test_results_of_a_class_of_ones_own(into: Any) -> None:
    found = run(CALLS, lambda calls: windows_of_pages(calls).aggregate(into=into, slowest=slowest(), n=count()))
    assert [(key, result.value) for key, result in found] == [("/a", into(2, 4.0)), ("/b", into(1, 5.0))]


def test_a_process_that_has_not_built_the_pipeline_reads_results() -> None:
    [result] = run(CALLS, lambda calls: windows(calls).aggregate(n=count(), slowest=slowest(), pages=first()))
    program = """
import sys
import streamproc.windowing
from streamproc.values import decode_value, encode_value
from tests.windowing.test_several import Call
results = decode_value(sys.stdin.buffer.read())
assert results[0].value.slowest == 5.0 and results[0] == results[1]
sys.stdout.buffer.write(encode_value(results))
"""
    data = encode_value([result, result])
    process = subprocess.run([sys.executable, "-c", program], input=data, stdout=subprocess.PIPE, check=True)
    assert process.stdout == data
    read = decode_value(process.stdout)
    assert read == [result, result]
    assert type(read[0].value) is type(result.value)


def test_programs_without_the_classes_see_them_too() -> None:
    one = several(n=count(), size=max_of(len))
    plain = decode_plain(encode_value(one.result(one.create("ab"))))
    assert plain.class_name == "streamproc.windowing.aggregates.several:Aggregates"
    assert plain.fields == {"n": 1, "size": 2}


def test_the_name_of_the_whole_tells_its_parts() -> None:
    whole = several(n=count(), middle=quantile(0.5, error=0.05))
    assert whole.name == "n=count, middle=quantiles(error=0.05)"


def test_of_several_the_whole_can_what_all_of_them_can() -> None:
    assert several(n=count(), total=sum_of(len)).inverse is not None
    assert several(n=count(), most=max_of(len)).inverse is None
    assert several(n=count(), first=first()).timed
    assert several(n=count(), all=collect()).grows
    plain = several(n=count(), most=max_of(len))
    assert not plain.timed
    assert not plain.grows
    accumulator = plain.create("a")
    assert plain.copy(accumulator) is accumulator


def test_where_merging_fails_all_are_as_they_were() -> None:
    def only_shorter(one: str, other: str) -> str:
        if len(other) > len(one):
            raise ValueError("longer")
        return other

    whole = several(all=collect(), last=reducing(only_shorter), again=collect())
    accumulator = whole.create("ab")
    with pytest.raises(ValueError, match="longer"):
        whole.merge(accumulator, whole.create("abc"))
    assert accumulator == [["ab"], "ab", ["ab"]]


def test_what_type_checkers_know_of_the_results() -> None:
    calls = App("typing").source(MemorySource[Call]())
    assert_type(windows(calls).aggregate(n=count()), WindowResults[Call, Aggregates])
    assert_type(windows(calls).aggregate(into=Stats, n=count(), slowest=slowest()), WindowResults[Call, Stats])
    keyed = windows_of_pages(calls)
    results = keyed.aggregate(into=Stats, n=count(), slowest=max_of(lambda call: call.ms), name="stats")
    assert_type(results, KeyedWindowResults[str, Call, Stats])
    assert_type(results.map_values(lambda result: result.value.slowest), KeyedStream[str, float])
    assert_type(keyed.aggregate(n=count(), on_error="skip"), KeyedWindowResults[str, Call, Aggregates])
    assert_type(keyed.aggregate(first(lambda call: call.ms)), KeyedWindowResults[str, Call, float])
    assert_type(keyed.aggregate(first()), KeyedWindowResults[str, Call, Call])


WRONG: list[tuple[Callable[[Any], object], str]] = [
    (lambda w: w.aggregate(), "expected an aggregate such as count"),
    (lambda w: w.aggregate(count), "expected an aggregate such as count"),
    (lambda w: w.aggregate(n=count), "aggregate: n is <function count.*: expected an aggregate such as count"),
    (lambda w: w.aggregate(count(), n=count()), "expected one aggregate, or several by name, got both"),
    (lambda w: w.aggregate(count(), into=Stats), "expected one aggregate, or several by name, got both"),
    (lambda w: w.aggregate(count(), nam="x"), "no option 'nam': did you mean 'name'?"),
    (lambda w: w.aggregate(into=Stats), "or several by name, got none"),
    (lambda w: w.aggregate(_n=count()), "'_n' can't be the name of a field"),
    (lambda w: w.aggregate(**{"a b": count()}), "'a b' can't be the name of a field"),
    (
        lambda w: w.aggregate(into=Stats, n=count(), slow=slowest()),
        "Stats has no field 'slow': did you mean 'slowest'?",
    ),
    (lambda w: w.aggregate(into=Stats, zz=count()), "Stats has no field 'zz': it has n, slowest, unit"),
    (lambda w: w.aggregate(into=Stats, n=count()), "Stats has fields without an aggregate or a default: slowest"),
    (lambda w: w.aggregate(into="Stats", n=count()), "into is 'Stats': expected a class"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
@pytest.mark.parametrize("kind", [windows, windows_of_pages])
def test_wrong_use_is_refused_while_the_pipeline_is_built(kind: Any, wrong: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        wrong(kind(App("wrong").source(MemorySource[Call]())))
