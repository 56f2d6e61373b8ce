"""A plan as text, for people, and as a Mermaid diagram, for documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamproc.dataflow.nodes import DeadLetterSink, Decode, Node, Read, SideOutput, Step, Write
from streamproc.planning.fused import Fused
from streamproc.planning.stages import exchange

__all__ = ["explain", "mermaid"]


def explain(operators: Sequence[Node], stage_of: Mapping[str, int], unused: Sequence[str]) -> str:
    """Return a plan as text: stages, what is fused, what has state, and which operator reads which."""
    lines: list[str] = []
    rows = [(node.name, describe(node), ", ".join(source.name for source in node.inputs)) for node in operators]
    width = max(len(name) for name, _, _ in rows)
    for stage in range(1, max(stage_of.values()) + 1):
        nodes = [node for node in operators if stage_of[node.name] == stage]
        entered = {exchange(node) for node in nodes if any(stage_of[i.name] < stage for i in node.inputs)} - {None}
        lines.append(f"stage {stage}" + (f" (exchange {', '.join(sorted(map(str, entered)))})" if entered else ""))
        for name, what, reads in rows:
            if stage_of[name] == stage:
                lines.append(f"  {name:<{width}}  {what}" + (f"  <- {reads}" if reads else ""))
    if unused:
        lines.append(f"not connected to any output, so never run: {', '.join(unused)}")
    return "\n".join(lines)


def mermaid(operators: Sequence[Node], stage_of: Mapping[str, int]) -> str:
    """Return a plan as a Mermaid flowchart."""
    number = {node.name: f"n{i}" for i, node in enumerate(operators)}
    lines = ["flowchart LR"]
    for stage in range(1, max(stage_of.values()) + 1):
        lines.append(f'  subgraph s{stage}["stage {stage}"]')
        for node in operators:
            if stage_of[node.name] == stage:
                text = f"{node.name}<br/>{describe(node)}".replace('"', "&quot;")
                shape = ("[(", ")]") if node.stateful and node.inputs else ("[", "]")
                lines.append(f'    {number[node.name]}{shape[0]}"{text}"{shape[1]}')
        lines.append("  end")
    lines += [f"  {number[source.name]} --> {number[node.name]}" for node in operators for source in node.inputs]
    return "\n".join(lines)


def describe(node: Node) -> str:
    """Return in a few words what an operator does, how it is fused, and whether it has state."""
    match node:
        case Fused(steps=(step,), decode=None):
            what = step.step.value
        case Fused():
            names = [step.name for step in node.steps]
            what = "fused: " + " > ".join(names if node.decode is None else [node.decode.name, *names])
        case Step(run_async=options) if options is not None:
            order = "ordered" if options.ordered else "unordered"
            what = f"async {node.step.value}, {options.concurrency} at once, {order}"
        case Read():
            what = type(node.source).__name__
        case Decode():
            what = "decode"
        case Write():
            what = f"{type(node.sink).__name__}, {node.sink.delivery.replace('_', '-')}"
        case DeadLetterSink():
            what = f"dead letters to {type(node.policy.sink).__name__}"
        case SideOutput():
            what = f"side output {node.output}"
        case _:
            what = node.kind
    if not isinstance(node, Read):
        settings = ", ".join(f"{name} {value}" for name, value in node.configuration().items())
        what += f", {settings}" if settings else ""
        what += ", state" if node.stateful else ""
    return what
