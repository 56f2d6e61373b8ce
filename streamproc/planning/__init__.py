"""From the logical dataflow to a physical plan: fusion, stages, explanation."""

from streamproc.planning.fused import Fused
from streamproc.planning.physical import OperatorState, PhysicalPlan, plan

__all__ = ["Fused", "OperatorState", "PhysicalPlan", "plan"]
