"""What the options of commands must satisfy, checked where they are used.

``call_command`` skips argparse's ``type=``, so the functions behind the commands check too.
"""


class InvalidOption(ValueError):
    """An option's value breaks a rule; the message names value, rule and, where it helps, remedy."""


def require_at_least(option: str, value: float, minimum: float) -> None:
    if not value >= minimum:
        raise InvalidOption(f"{option} must be at least {minimum}, got {value}.")
