"""Numbers in sentences."""


def counted(number: int, singular: str, plural: str = "") -> str:
    """The number with its noun: ``1 entry``, ``2,000 entries``. The plural takes an s unless it is given."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"
