"""Starts a private Redis when it reads a line, and prints the run id of the server that runs then.

Run as a file. Arguments: the folder of the server, and the folder in which the engine is: the
environment may be empty.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, sys.argv[2])

from redis import Redis

from readcache.testing import PrivateRedis

if __name__ == "__main__":
    server = PrivateRedis(Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    server.ensure_running()
    print(Redis(unix_socket_path=str(server.socket_path)).info("server")["run_id"])
