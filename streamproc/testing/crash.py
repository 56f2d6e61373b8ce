"""Simulated crashes: stop the running code dead at one of the steps that it names.

The engine, readers and writers call ``step(name)`` wherever a crash would matter. In tests that is a `Steps`: a first
run records which steps there are, and each later run crashes at one of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

__all__ = ["CrashPoint", "SimulatedCrash", "Steps"]


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """One place to crash at.

    Attributes:
        step: The name of the step.
        occurrence: Which time that the step is reached, from 1.
    """

    step: str
    occurrence: int = 1

    def __str__(self) -> str:
        return self.step if self.occurrence == 1 else f"{self.step} (time {self.occurrence})"


class SimulatedCrash(BaseException):
    """The process is to be taken for dead. No `Exception`, so that no error handling of the tested code catches it.

    Attributes:
        point: Where it crashed.
    """

    def __init__(self, point: CrashPoint) -> None:
        super().__init__(f"simulated crash at step {point}")
        self.point = point


class Steps:
    """What to pass as ``step``: records the steps that are reached, and crashes at one of them when armed.

    Example:
        >>> steps = Steps()
        >>> steps("opened"), steps("written"), steps("written")
        (None, None, None)
        >>> steps.arm("written")
        >>> steps("written")
        Traceback (most recent call last):
        streamproc.testing.crash.SimulatedCrash: simulated crash at step written
    """

    def __init__(self) -> None:
        self.reached: list[CrashPoint] = []
        """Every step reached so far, in order: each can be given to `arm` of a new object to crash there."""
        self._counts: Counter[str] = Counter()
        self._armed: tuple[CrashPoint, int] | None = None

    @property
    def armed(self) -> CrashPoint | None:
        """The crash still to come, as it was given to `arm`."""
        return None if self._armed is None else self._armed[0]

    def arm(self, step: str, occurrence: int = 1) -> None:
        """Crash once at a step; instead of any other crash still to come.

        Args:
            step: The name of the step.
            occurrence: Which time it is reached, counted from now: 1 is the next.

        Raises:
            ValueError: The occurrence is not 1 or more.
        """
        if occurrence < 1:
            raise ValueError(f"crash at occurrence {occurrence} of step {step!r}: expected 1 or more")
        self._armed = CrashPoint(step, occurrence), self._counts[step] + occurrence

    def disarm(self) -> None:
        """Crash no more."""
        self._armed = None

    def __call__(self, step: str, /) -> None:
        """Record that a step is reached.

        Raises:
            SimulatedCrash: It is the one that was armed; it is no longer armed then.
        """
        self._counts[step] += 1
        self.reached.append(CrashPoint(step, self._counts[step]))
        if self._armed is not None and self._armed[0].step == step and self._armed[1] == self._counts[step]:
            point, _ = self._armed
            self._armed = None
            raise SimulatedCrash(point)
