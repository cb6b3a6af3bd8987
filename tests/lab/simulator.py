#!/usr/bin/env python3
"""Runs the CLI simulator fakenos: one device for each argument `its platform:port:host name`.
Prints `up` once every device listens, and ends with its standard input."""
import socket
import sys
import time

from fakenos import FakeNOS

LOGIN = {"username": "admin", "password": "admin123"}


def main():
    devices = [argument.split(":", 2) for argument in sys.argv[1:]]
    hosts = {}
    for platform, port, name in devices:
        server = {"address": "127.0.0.1", "timeout": 1}
        hosts[name] = {
            **LOGIN,
            "port": int(port),
            "platform": platform,
            "server": {"plugin": "ParamikoSshServer", "configuration": server},
        }
    FakeNOS(inventory={"default": LOGIN, "hosts": hosts}).start()
    for _, port, _ in devices:
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
    print("up", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
    # Its threads do not end by themselves.
    import os

    os._exit(0)
