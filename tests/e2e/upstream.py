# SPDX-License-Identifier: Apache-2.0
"""The strict fake of the Messages API (tests/fakes) as a process of its own, with its control."""
import http.client
import json
import pathlib
import ssl
import subprocess
import sys

import testca

FAKE = pathlib.Path(testca.__file__).with_name("messages_api.py")
CONTROL = "control-of-this-test"


class Upstream:
    """auth: ("--api-key", K) or ("--bearer", T); certs: a folder of testca's, or None for plain."""

    def __init__(self, auth, certs=None):
        self.certs = certs
        tls = ["--cert", f"{certs}/server.pem", "--key", f"{certs}/server.key"] if certs else []
        self.proc = subprocess.Popen(
            [sys.executable, str(FAKE), "--stdin", "--control-token", CONTROL, *auth, *tls],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = json.loads(self.proc.stdout.readline())["port"]
        self.url = f"https://localhost:{self.port}" if certs else f"http://127.0.0.1:{self.port}"

    def _call(self, method, path, body=None):
        if self.certs:
            trust = ssl.create_default_context(cafile=f"{self.certs}/ca.pem")
            c = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=trust)
        else:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request(method, path, json.dumps(body) if body else None,
                  {"x-control-token": CONTROL})
        r = c.getresponse()
        data = json.loads(r.read())
        c.close()
        assert r.status == 200, data
        return data

    def log(self, least=0):
        """All requests; waits until there are so many."""
        return self._call("GET", f"/__log?min={least}")

    def forget(self):
        self._call("DELETE", "/__log")

    def order(self, **what):
        self._call("POST", "/__control", what)

    def stop(self):
        self.proc.stdin.close()
        self.proc.wait(10)
        self.proc.stdout.close()
