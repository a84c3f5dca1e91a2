# SPDX-License-Identifier: Apache-2.0
"""The runner under test: $RUNNER_BIN, else one built by `make runner`."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from door_host import Host  # noqa: E402


@pytest.fixture(scope="session")
def binary():
    given = os.environ.get("RUNNER_BIN")
    if given:
        return given
    subprocess.run(["make", "-s", "-C", str(ROOT), "runner"], check=True)
    return str(ROOT / "build/runner/runner")


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    """A static program that attacks the runner from the agent's place (probe.c)."""
    out = tmp_path_factory.mktemp("probe")
    os.chmod(out, 0o755)
    for up in out.parents:  # another uid must be able to reach it
        if up.owner() == "root" and str(up).startswith("/tmp/pytest-of-"):
            os.chmod(up, 0o755)
    cc = ["cc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-static", "-s"]
    subprocess.run(cc + ["-o", str(out / "probe"), str(HERE / "probe.c")], check=True)
    return str(out / "probe")


@pytest.fixture
def start(binary):
    """start(agent argv..., flags=[...]) -> Host; an ordinary process that keeps its uid."""
    hosts = []

    def run(*agent, flags=("--keep-uid", "--port", "0", "--cwd", "/"), wrap=(), **kw):
        h = Host([*wrap, binary, *flags, "--", *agent], **kw)
        hosts.append(h)
        return h

    yield run
    for h in hosts:
        h.destroy()
