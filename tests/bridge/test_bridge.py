# SPDX-License-Identifier: Apache-2.0
"""The WhatsApp bridge's tests (Node's own runner), a file each: its protocol half against a stand-in for Baileys' socket,
and what it relies on in Baileys itself."""
import pathlib
import subprocess

import pytest

import bridge_node

HERE = pathlib.Path(__file__).resolve().parent
FILES = sorted(p.name for p in HERE.glob("*.test.mjs"))


@pytest.fixture(scope="session")
def node():
    return bridge_node.node()


@pytest.mark.parametrize("name", FILES)
def test_file(node, name):
    done = subprocess.run([node, "--test", "--test-reporter=tap", HERE / name], timeout=300,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0 and "\n# fail 0" in text and "\n# pass 0" not in text, text[-8000:]


def test_there_are_tests():
    assert len(FILES) >= 7
