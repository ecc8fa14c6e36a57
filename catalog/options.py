"""What the options of commands must satisfy, checked where they are used.

``call_command`` skips argparse's ``type=``, so the functions behind the commands check too.
"""

from collections.abc import Sequence


class InvalidOption(ValueError):
    """An option's value breaks a rule; the message names value, rule and, where it helps, remedy."""


def require_at_least(option: str, value: float, minimum: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidOption(f"{option} must be a number, got {value!r}.")
    if not value >= minimum:
        raise InvalidOption(f"{option} must be at least {minimum}, got {value}.")


def require_whole_number(option: str, value: int, *, minimum: int, maximum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidOption(f"{option} must be a whole number, got {value!r}.")
    require_at_least(option, value, minimum)
    if value > maximum:
        raise InvalidOption(f"{option} must be at most {maximum}, got {value}.")


def require_one_of(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InvalidOption(f"{option} must be one of {', '.join(choices)}, got {value!r}.")
