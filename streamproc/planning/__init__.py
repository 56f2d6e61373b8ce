"""From the logical dataflow to a physical plan: fusion, stages, operator names."""
