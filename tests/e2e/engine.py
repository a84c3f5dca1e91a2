# SPDX-License-Identifier: Apache-2.0
"""The Docker engine's API, as little of it as the tests need, over its unix socket.

Owns: looking at and killing the containers of one test instance.
Must never: touch a container that does not carry the instance's label.
"""
import http.client
import json
import os
import socket
import urllib.parse

SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


class EngineError(Exception):
    pass


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def call(method, path, good=(200, 201, 204)):
    c = _Connection(SOCKET)
    try:
        c.request(method, path)
        r = c.getresponse()
        body = r.read()
    finally:
        c.close()
    if r.status not in good:
        raise EngineError(f"{method} {path}: {r.status} {body[:200]!r}")
    return json.loads(body) if body else None


def why_not():
    """Why no container can be started here, or None."""
    try:
        call("GET", "/version")
    except (OSError, EngineError) as e:
        return f"no Docker engine answers at {SOCKET}: {e}"
    return None


def runtimes():
    return sorted(call("GET", "/info")["Runtimes"])


def containers(instance, every=True):
    """Containers of one instance, newest first; every: those that have ended too."""
    want = urllib.parse.quote(json.dumps({"label": [f"chela.instance={instance}"]}))
    return call("GET", f"/containers/json?all={int(every)}&filters={want}")


def inspect(cid):
    return call("GET", f"/containers/{cid}/json")


def kill(cid):
    """SIGKILL from outside; False when it was gone already."""
    try:
        call("POST", f"/containers/{cid}/kill")
        return True
    except EngineError as e:
        if "404" in str(e) or "409" in str(e):
            return False
        raise


def remove(cid):
    try:
        call("DELETE", f"/containers/{cid}?force=1&v=1", good=(204, 404, 409))
    except EngineError as e:
        return str(e)
    return None
