"""The dataflow: frozen nodes of the logical plan, their validation and explanation."""
