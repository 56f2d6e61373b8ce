"""Whether a plan can go on with the state that another one has left."""

from __future__ import annotations

import msgspec

from streamproc.errors import PlanChangedError
from streamproc.planning.physical import OperatorState, PhysicalPlan

__all__ = ["check_plan", "encode_plan"]

_DECODER = msgspec.json.Decoder(dict[str, OperatorState])


def encode_plan(plan: PhysicalPlan) -> bytes:
    """Return what a store keeps of a plan: its operators that have state, as JSON."""
    return msgspec.json.encode(plan.state(), order="deterministic")


def check_plan(plan: PhysicalPlan, stored: bytes | None, *, where: str) -> None:
    """Refuse a plan that lost or changed an operator with state; new operators are welcome and start empty.

    Args:
        plan: What is to run.
        stored: What the store keeps of the plan that ran before; None on the first start.
        where: The store, for the message.

    Raises:
        PlanChangedError: The message lists what changed.
    """
    if stored is None:
        return
    now = plan.state()
    changes: list[str] = []
    for name, before in _DECODER.decode(stored).items():
        if name not in now:
            changes.append(f"{name} ({before.kind}) is gone")
        elif now[name].kind != before.kind:
            changes.append(f"{name} was a {before.kind} and is a {now[name].kind}")
        else:
            for setting in sorted(before.configuration.keys() | now[name].configuration.keys()):
                old, new = before.configuration.get(setting), now[name].configuration.get(setting)
                if old != new:
                    changes.append(f"{name}: {setting} was {old or 'absent'} and is {new or 'absent'}")
    if changes:
        added = ", ".join(sorted(now.keys() - _DECODER.decode(stored).keys()))
        raise PlanChangedError(
            f"the pipeline does not fit the state in {where}:\n"
            + "".join(f"  - {change}\n" for change in changes)
            + (f"  (new: {added})\n" if added else "")
            + "An operator without name= is numbered by its place: name= keeps its state when others come or go. Bring "
            "back what the state belongs to, or start anew with another state directory."
        )
