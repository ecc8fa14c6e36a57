"""Turns into another program that a timer ends: ``python`` this file, SECONDS PROGRAM ARGUMENT….

The timer survives ``exec()``, so the program ends even if the process that started it was killed.
"""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    seconds, *command = sys.argv[1:]
    signal.setitimer(signal.ITIMER_REAL, float(seconds))
    os.execv(command[0], command)  # noqa: S606
