"""A reader that asks for a URL each time that it is told to."""

from __future__ import annotations

import json
import sys

from django.db import connection
from django.test import Client


def read() -> None:
    """Reads a URL a line, and prints the Cache-Status and the body as JSON."""
    client = Client(headers={"Accept": "application/json"})
    connection.ensure_connection()
    print("ready", flush=True)
    for line in sys.stdin:
        response = client.get(line.strip())
        answer = {"status": response["Cache-Status"], "body": response.content.decode()}
        print(json.dumps(answer), flush=True)
