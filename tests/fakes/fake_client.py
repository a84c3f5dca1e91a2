# SPDX-License-Identifier: Apache-2.0
"""The test's side of the fakes: each a process of its own, driven over its control API.

Owns: starting and ending the process, and calls to it. Why: e2e, bench and the demo need the same.
Must never: outlive the test: the fake ends with its standard input.

    slack = Slack(certs)                  # certs: a folder of testca.make, or None for plain HTTP
    ts, = slack.inject(do="message", chat="C00GENERAL", text="hello", mention=True)
    reply, = slack.wait(chat="C00GENERAL", **{"from": "bot"}, thread=ts)
    slack.stop()                          # asserts that there was no violation
"""
import http.client
import json
import pathlib
import subprocess
import sys
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
CONTROL = "control-of-this-test"


class Fake:
    SCRIPT = ""

    def __init__(self, certs=None, *args):
        tls = ["--cert", f"{certs}/server.pem", "--key", f"{certs}/server.key"] if certs else []
        self.certs = certs
        self.proc = subprocess.Popen(
            [sys.executable, str(HERE / self.SCRIPT), "--stdin", "--control-token", CONTROL,
             *tls, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.proc.stdout.readline()
        assert line, f"{self.SCRIPT} did not start"
        self.hello = json.loads(line)
        self.url, self.port = self.hello["url"], self.hello["port"]

    def raw(self, order, body):
        """(status, answer) of one order."""
        slow = body.get("timeout", 30) + 30
        c = http.client.HTTPConnection("127.0.0.1", self.hello["control"], timeout=slow)
        try:
            c.request("POST", "/" + order, json.dumps(body), {"x-control-token": CONTROL})
            r = c.getresponse()
            return r.status, json.loads(r.read() or b"{}")
        finally:
            c.close()

    def call(self, order, **body):
        status, answer = self.raw(order, body)
        assert status == 200, f"{self.SCRIPT}: {order} {body}: {answer}"
        return answer

    def inject(self, *events, **event):
        """Ids of what came into being; one event as keywords, or many as dicts."""
        return self.call("inject", events=list(events) + ([event] if event else []))["ids"]

    def wait(self, what="messages", **how):
        """What matches, once there is enough of it; fails at the timeout."""
        done = self.call("wait", what=what, **how)
        assert done["ok"], (f"{self.SCRIPT}: waited for {what} {how}, got {done['count']}: "
                            f"{json.dumps(done[what])[-2000:]}; stats {self.call('stats')}")
        return done[what]

    def messages(self, **filters):
        return self.call("messages", **filters)["messages"]

    def file(self, ref):
        """The bytes of a file, either side's."""
        c = http.client.HTTPConnection("127.0.0.1", self.hello["control"], timeout=30)
        try:
            c.request("GET", f"/file/{urllib.parse.quote(ref)}?token={CONTROL}")
            r = c.getresponse()
            data = r.read()
            assert r.status == 200, (ref, r.status)
            return data
        finally:
            c.close()

    def violations(self):
        return self.call("violations")["violations"]

    def stop(self, check=True):
        """Ends it; with check, the client must have kept all rules until here."""
        wrong = self.violations() if check and self.proc.poll() is None else []
        self.proc.stdin.close()
        try:
            assert self.proc.wait(10) == 0, f"{self.SCRIPT} ended with {self.proc.returncode}"
        finally:
            self.proc.stdout.close()
        assert not wrong, json.dumps(wrong[:10], indent=1)


class Slack(Fake):
    SCRIPT = "slack.py"


class Telegram(Fake):
    SCRIPT = "telegram.py"


class WhatsApp(Fake):
    SCRIPT = "whatsapp_wire.py"
