# SPDX-License-Identifier: Apache-2.0
"""Servers to attack: one a runtime, warm, with a marker for a key, two groups and the strict fake
of the Messages API behind it. The attacks run inside the sandbox, as the agent's own tool calls."""
import pathlib
import secrets
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "e2e"))
sys.path.insert(0, str(HERE.parent / "fakes"))

import engine  # noqa: E402
import server as servers  # noqa: E402
from attacker import GVISOR_POLICY, POLICY, RUNTIMES, Target, two_groups  # noqa: E402
from upstream import Upstream  # noqa: E402

@pytest.fixture(scope="session")
def sandboxes():
    assert servers.have_binary(), f"no {servers.BINARY}: make all"
    why = engine.why_not()
    if why:
        pytest.skip(why)
    if not pathlib.Path(servers.LOCK).exists():
        pytest.skip(f"no image: {servers.LOCK} is not there (make image)")


@pytest.fixture(params=RUNTIMES, scope="session")
def target(request, sandboxes, tmp_path_factory):
    runtime = request.param
    if runtime not in engine.runtimes():
        pytest.skip(f"the engine has no runtime {runtime}")
    key = "sk-ant-marker-" + secrets.token_hex(16)
    upstream = Upstream(("--api-key", key))
    server = servers.Server(tmp_path_factory.mktemp(f"attack-{runtime}"),
                            policy={"runtime": runtime, **(GVISOR_POLICY if runtime == "runsc" else POLICY)},
                            env={"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": upstream.url})
    two_groups(server)
    yield Target(server, upstream, key, runtime)
    server.close()
    upstream.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The log of each server that a failed test used stands in its report."""
    report = (yield).get_result()
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            s = getattr(value, "server", value)
            if isinstance(s, servers.Server):
                report.sections.append((f"log of {name}", s.log(60)))
