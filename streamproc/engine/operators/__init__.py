"""The physical operators, one file each."""
