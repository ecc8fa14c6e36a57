"""Loads users' strategies, named ``module:Class``, and mounts their URLs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from django.conf import settings
from django.urls import URLResolver, clear_url_caches, include, path

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.strategies.base import Strategy
from catalog.options import InvalidOption

REFERENCE_RULE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
NAME_RULE = re.compile(r"[a-z][a-z0-9_-]*")
BASE = f"{Strategy.__module__}.{Strategy.__qualname__}"

_loaded: dict[str, Strategy] = {}
# The laboratory's URLs include this list. Loading a strategy appends its URLs.
url_patterns: list[URLResolver] = []


def load(reference: str, *, taken: Collection[str]) -> Strategy:
    """The only instance of the class. Raises ``InvalidOption``, also for a name that is ``taken``."""
    cls = _find_class(reference)
    found = next((each for each in _loaded.values() if type(each) is cls), None)
    return found or _add(cls, reference, taken)


def _add(cls: type[Strategy], reference: str, taken: Collection[str]) -> Strategy:
    try:
        strategy = cls()
        _check(strategy, reference, {*taken, *_loaded})
        url_patterns.extend(_mounted(strategy))
    except InvalidOption:
        raise
    except Exception as error:
        raise InvalidOption(
            f"--strategy {reference} cannot be served: {type(error).__name__}: {error}"
        ) from error
    clear_url_caches()
    _loaded[strategy.name] = strategy
    return strategy


def loaded() -> Mapping[str, Strategy]:
    return _loaded


def environment(strategy: Strategy | None) -> dict[str, str]:
    """Environment variables with the loaded strategies and, for its separate process, the strategy itself."""
    owner = strategy if strategy and strategy.own_process else None
    return {
        "BENCH_STRATEGIES": ",".join(each.reference for each in _loaded.values()),
        "BENCH_PROCESS_OF": owner.reference if owner else "",
        "BENCH_SETTINGS": json.dumps(dict(owner.settings)) if owner else "",
    }


def is_elsewhere(strategy: Strategy) -> bool:
    """Whether the strategy must be measured in a separate process, and this is not that process."""
    return strategy.own_process and getattr(settings, "BENCH_PROCESS_OF", "") != strategy.reference


def not_measured_here(strategy: Strategy) -> BenchmarkError:
    """In this process the strategy has no effect, so any figure would be wrong."""
    return BenchmarkError(
        f"{strategy.name} needs a separate process, which this experiment does not use. "
        "Leave the strategy out, or choose other experiments, such as latency and freshness."
    )


def _mounted(strategy: Strategy) -> list[URLResolver]:
    if is_elsewhere(strategy):
        # Its views may need the settings of the other process.
        return []
    patterns = strategy.urls()
    prefix = f"{strategy.url_prefix.strip('/')}/"
    return [path(prefix, include((patterns, strategy.name)))] if patterns else []


def _find_class(reference: str) -> type[Strategy]:
    if not REFERENCE_RULE.fullmatch(reference):
        raise InvalidOption(f"--strategy must be a name or MODULE:CLASS, got {reference!r}.")
    module_name, _, class_name = reference.partition(":")
    module = _import(module_name, reference)
    if not hasattr(module, class_name):
        raise InvalidOption(f"--strategy {reference}: {module_name} has no {class_name}.")
    cls = getattr(module, class_name)
    if not (isinstance(cls, type) and issubclass(cls, Strategy)):
        raise InvalidOption(f"--strategy {reference} must be a class derived from {BASE}, got {cls!r}.")
    return cls


def _import(name: str, reference: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise InvalidOption(
                f"--strategy {reference}: there is no module {name}. Give its name as Python finds it "
                f"from {settings.BASE_DIR}, or set PYTHONPATH."
            ) from None
        raise InvalidOption(
            f"--strategy {reference} needs the module {missing}, which is not installed. Install it with pip."
        ) from None
    except Exception as error:
        raise InvalidOption(
            f"--strategy {reference} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _check(strategy: Strategy, reference: str, taken: Collection[str]) -> None:
    name = getattr(strategy, "name", None)
    if not isinstance(name, str) or not NAME_RULE.fullmatch(name):
        raise InvalidOption(
            f"--strategy {reference} must have a name of lower-case letters, digits, - and _, got {name!r}."
        )
    if name in taken:
        raise InvalidOption(
            f"--strategy {reference} must have a unique name, but another strategy is named {name!r}."
        )
    for requirement in strategy.requires:
        try:
            distribution(requirement)
        except PackageNotFoundError:
            raise InvalidOption(
                f"--strategy {reference} needs {requirement}, which is not installed. "
                f"Install it with: pip install {requirement}"
            ) from None
    _check_settings(strategy, reference)


def _check_settings(strategy: Strategy, reference: str) -> None:
    if strategy.settings and not strategy.own_process:
        raise InvalidOption(f"--strategy {reference} has settings, so it must set own_process = True.")
    try:
        json.dumps(dict(strategy.settings))
    except (TypeError, ValueError) as error:
        raise InvalidOption(
            f"--strategy {reference} must have settings that JSON can represent: {error}."
        ) from None
    for alias, config in strategy.settings.get("CACHES", {}).items():
        if "LOCATION" in config:
            raise InvalidOption(
                f"--strategy {reference}: its cache {alias!r} must not have a LOCATION. It uses the LOCATION "
                "of 'default', where a run removes everything that it has cached."
            )
