"""The error that ends an experiment, and the message of other errors."""


class BenchmarkError(Exception):
    """Something behaved so unexpectedly that the figures of the experiment would mean nothing."""


def first_line(error: Exception) -> str:
    """The message without a full stop and without the lines that follow it, such as the SQL."""
    return "".join(str(error).splitlines()[:1]).rstrip(".")
