"""Checks for the values of command options.

The functions behind the commands call these checks, because ``call_command`` skips argparse's ``type=``.
"""

from collections.abc import Sequence


class InvalidOption(ValueError):
    """The value of an option breaks a rule. The message names the value, the rule and a remedy if any."""


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
