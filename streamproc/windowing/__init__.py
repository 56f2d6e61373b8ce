"""Windows: how they are assigned, and how they aggregate."""
