"""Tools of the tests: they make rows, ask as visitors, start processes, and break a Redis."""
