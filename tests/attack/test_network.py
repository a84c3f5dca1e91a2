# SPDX-License-Identifier: Apache-2.0
"""No way out of the sandbox by network."""
import json
import secrets
import socket
import subprocess


def host_addresses():
    out = subprocess.run(["ip", "-j", "addr"], capture_output=True, text=True, check=False).stdout
    found = [a["local"] for i in json.loads(out or "[]") for a in i["addr_info"]]
    return [a for a in found if not a.startswith(("fe80", "127.")) and a != "::1"]


def test_no_network(target):
    name = "chela-attack-" + secrets.token_hex(8)
    with socket.create_server(("0.0.0.0", 0), backlog=64) as bait, \
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as abstract:
        abstract.bind("\0" + name)
        abstract.listen(8)
        port = bait.getsockname()[1]
        # the baits bite when the host itself goes for them: or nothing would be proved
        for near in (socket.create_connection(("127.0.0.1", port)), bait.accept()[0]):
            near.close()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect("\0" + name)
            abstract.accept()[0].close()
        target.refuted("network", host_addresses(), port, name, least=380)
        for s in (bait, abstract):
            s.setblocking(False)
            try:
                raise AssertionError(f"the sandbox reached {s.accept()}")
            except BlockingIOError:
                pass
