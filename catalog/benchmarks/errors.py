"""The error that ends an experiment."""


class BenchmarkError(Exception):
    """Something behaved so unexpectedly that the figures of the experiment would mean nothing."""
