"""How a benchmark fails."""


class BenchmarkError(Exception):
    """What was measured is not what it should be, so no figure of it would mean anything."""
