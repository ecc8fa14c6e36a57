"""Calls the function that the arguments name, by its module and its name, with the other arguments."""

from __future__ import annotations

import sys
from importlib import import_module

import django

if __name__ == "__main__":
    django.setup()
    module, name, *arguments = sys.argv[1:]
    getattr(import_module(module), name)(*arguments)
