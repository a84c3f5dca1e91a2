# SPDX-License-Identifier: Apache-2.0
"""Node.js and the WhatsApp bridge's packages, for the tests that run the real bridge.

Owns: `make bridge` when it has not been run for these lock files. Why: the bridge's own tests and the end-to-end
test need the same. Must never: install anything but what the lock files name, or run a package's script.
"""
import pathlib
import re
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BRIDGE = TOP / "channels" / "whatsapp" / "bridge"


def good(program):
    """Whether this is a Node.js that can run the bridge."""
    if not program:
        return False
    done = subprocess.run([program, "--version"], stdout=subprocess.PIPE, check=False)
    found = re.match(rb"v(\d+)\.", done.stdout)
    return bool(found) and int(found[1]) >= 20


def node():
    """The program; skips where npm cannot give what is needed."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed: the WhatsApp bridge's packages cannot be fetched")
    done = subprocess.run(["make", "--no-print-directory", "bridge"], cwd=TOP, timeout=300,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode and re.search(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT", text):
        pytest.skip("no package registry can be reached: the WhatsApp bridge's packages are not here")
    assert done.returncode == 0, text
    for program in [shutil.which("node"), *BRIDGE.glob("node/node_modules/node-linux-*/bin/node")]:
        if good(program):
            return str(program)
    pytest.skip("there is no Node.js 20 or newer for this machine")
    return None
