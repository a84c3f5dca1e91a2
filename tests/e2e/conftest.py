# SPDX-License-Identifier: Apache-2.0
"""Servers for the tests, and why they may be skipped: no engine, or no image. Nothing else skips."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "fakes"))

import engine  # noqa: E402
import server as servers  # noqa: E402
from server import OWN_RUNTIMES, RUNTIMES  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than about ten seconds")


@pytest.fixture(scope="session")
def sandboxes():
    """There is an engine and an image."""
    assert servers.have_binary(), f"no {servers.BINARY}: make all"
    why = engine.why_not()
    if why:
        pytest.skip(why)
    if not pathlib.Path(servers.LOCK).exists():
        pytest.skip(f"no image: {servers.LOCK} is not there (make image)")


def need_runtime(name):
    if name not in engine.runtimes():
        pytest.skip(f"the engine has no runtime {name}")


@pytest.fixture(params=RUNTIMES, scope="session")
def runtime(request, sandboxes):
    need_runtime(request.param)
    return request.param


@pytest.fixture(scope="session")
def warm(runtime, tmp_path_factory):
    """One server a runtime for all tests that only talk."""
    s = servers.Server(tmp_path_factory.mktemp(f"warm-{runtime}"), policy={"runtime": runtime})
    s.start()
    yield s
    s.close()


@pytest.fixture
def chat(warm):
    c = warm.console()
    yield c
    c.close()
    warm.consoles.remove(c)


@pytest.fixture
def server(house):
    """The server of a file whose `house` has platforms."""
    return house.server


@pytest.fixture
def telegram(house):
    yield house.telegram
    house.telegram.call("clear")
    assert not house.telegram.violations()


@pytest.fixture
def whatsapp(house):
    yield house.whatsapp
    house.whatsapp.call("clear")
    assert not house.whatsapp.violations()


@pytest.fixture(params=OWN_RUNTIMES)
def own_runtime(request, sandboxes):
    need_runtime(request.param)
    return request.param


@pytest.fixture(params=OWN_RUNTIMES, scope="module")
def shared(request, sandboxes, tmp_path_factory):
    """One server for all tests of a file that need none of their own."""
    need_runtime(request.param)
    s = servers.Server(tmp_path_factory.mktemp("shared") / "home", policy={"runtime": request.param})
    try:
        yield s.start()
    finally:
        s.close()


@pytest.fixture
def make_server(own_runtime, tmp_path):
    """make_server(config, policy, env, start=True): a server of the test's own."""
    made = []

    def make(config=None, policy=None, env=None, start=True, name="home"):
        s = servers.Server(tmp_path / name, config, {"runtime": own_runtime, **(policy or {})}, env)
        made.append(s)
        return s.start() if start else s

    yield make
    wrong = []
    for s in made:
        try:
            s.close()
        except AssertionError as e:
            wrong.append(str(e))
    assert not wrong, "\n".join(wrong)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The log of each server that a failed test used stands in its report."""
    report = (yield).get_result()
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, servers.Server):
                report.sections.append((f"log of {name}", value.log(80)))
