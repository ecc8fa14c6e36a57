"""A process of a soak: it makes targets, writes one in a transaction of some shape, and reads."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from django.test import Client

from instruments.writes import KINDS, find_target, make_target
from library.models import Author, Book, Topic
from soak.processes.shapes import SHAPES, RefusedError
from soak.processes.without import take_out

WRITES = {str(kind): kind.write for kind in KINDS}
client = Client(headers={"Accept": "application/json"}, raise_request_exception=False)


def serve(without: str) -> None:
    """Prints ``ready``, and answers each command, a line of JSON, with a line of JSON.

    ``without`` names the rule that is taken out of the engine, or is empty.
    """
    take_out(without)
    connection.ensure_connection()
    print("ready", flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(COMMANDS[name](**arguments)), flush=True)


def clear() -> None:
    """Delete the rows of earlier rounds."""
    with transaction.atomic():
        for model in (Book.topics.through, Book, Author, Topic):
            model._default_manager.all().delete()


def make(labels: list[str]) -> list[dict[str, Any]]:
    with transaction.atomic():
        targets = [make_target(label) for label in labels]
    return [{"label": target.label, "slug": target.author.slug, "book": target.book.pk} for target in targets]


def write(label: str, kind: str, shape: str, seconds: float) -> dict[str, str]:
    """The outcome: "acknowledged", "rolled back", "locked", or "failed" with the error.

    SQLite refuses a write at once where another writer has committed since the transaction first read.
    """
    target = find_target(label)
    try:
        SHAPES[shape].run(lambda: WRITES[kind](target), seconds)
    except RefusedError:
        return {"outcome": "rolled back"}
    except Exception as error:  # noqa: BLE001 - the soak reports it
        outcome = "locked" if "database is locked" in str(error) else "failed"
        return {"outcome": outcome, "error": repr(error)}
    return {"outcome": "acknowledged" if SHAPES[shape].commits else "rolled back"}


def read(url: str, query_seconds: float) -> dict[str, Any]:
    """The answer to a request each of whose queries takes so long."""
    with connection.execute_wrapper(_slow(query_seconds)):
        response = client.get(url)
    cache_status = response.get("Cache-Status", "")
    return {"code": response.status_code, "cache_status": cache_status, "body": response.content.decode()}


def _slow(seconds: float) -> Any:
    """An execute wrapper that gives writes time to happen around each query."""

    def wrapper(execute: Any, *statement: Any) -> Any:
        time.sleep(seconds / 2)
        result = execute(*statement)
        time.sleep(seconds / 2)
        return result

    return wrapper


COMMANDS: dict[str, Callable[..., Any]] = {"clear": clear, "make": make, "write": write, "read": read}
