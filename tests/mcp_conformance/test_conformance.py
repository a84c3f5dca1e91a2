# SPDX-License-Identifier: Apache-2.0
"""The official MCP conformance suite against our MCP server (server.c: the gateway, with the tools
the suite asks for by name).

Two releases of the suite are pinned in package-lock.json: the stable one speaks revision 2025-11-25,
the next one 2026-07-28. They are installed once into build/mcp_conformance, scripts never run.
Every scenario of both is named here: it must pass, or there is a reason why it does not apply.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
HOME = TOP / "build" / "mcp_conformance"

STABLE = ("@modelcontextprotocol/conformance", "2025-11-25")
NEXT = ("conformance-next", "2026-07-28")
TOOL_CALLS = ["tools-list", "tools-call-simple-text", "tools-call-image", "tools-call-audio",
              "tools-call-embedded-resource", "tools-call-mixed-content", "tools-call-error",
              "json-schema-2020-12", "dns-rebinding-protection"]
APPLY = {
    STABLE: ["server-initialize", "ping"] + TOOL_CALLS,
    NEXT: ["server-stateless", "http-header-validation", "server-sse-multiple-streams", "caching"]
    + TOOL_CALLS,
}
STREAM = "it needs messages from the server in mid-call; we answer with one JSON message"
ASKS = "no tool of ours asks the client for anything (sampling, elicitation, roots)"
NOT_TOOLS = "resources, prompts, completion and logging are not offered, nor declared"
SESSION = "we are stateless: no session id is given out, no stream is offered"
EXTENSION = "an extension that is not offered"
DOES_NOT_APPLY = [
    (r"tools-call-with-(logging|progress)", STREAM),
    (r"server-sse-polling|server-session-lifecycle", SESSION),
    (r"tools-call-(sampling|elicitation)|elicitation-.*|input-required-result-.*", ASKS),
    (r"resources-.*|prompts-.*|completion-complete|logging-set-level|sep-2164-.*", NOT_TOOLS),
    (r"http-custom-header-server-validation", "no tool of ours has an x-mcp-header parameter"),
    (r"tasks-.*|sep-2640-.*", EXTENSION),
]
# Of a scenario that applies, the checks that do not: each is a failure in the suite's eyes because
# the server lacks what would be checked. Nothing else may fail.
LACKING = {
    "server-stateless": {
        "sep-2575-server-rejects-undeclared-capability": ASKS,
        "sep-2575-missing-capability-http-400": ASKS,
    },
    "caching": {
        "sep-2549-prompts-list-caching-hints": NOT_TOOLS,
        "sep-2549-resources-list-caching-hints": NOT_TOOLS,
        "sep-2549-resources-templates-list-caching-hints": NOT_TOOLS,
    },
}
# What one release has for the other one only.
ELSEWHERE = {
    STABLE: [(r"server-sse-multiple-streams", SESSION)],
    NEXT: [(r"server-initialize|ping", "not in revision 2026-07-28; run with the stable suite")],
}


def variant():
    """The build that is under test, as the other end-to-end tests name it."""
    return pathlib.Path(os.environ.get("CHELA_BIN", "build/release/chela")).parent.name


@pytest.fixture(scope="session")
def node():
    """Node.js with the suites beside it; the tests are skipped where npm cannot give them."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed: the MCP conformance suite cannot be fetched")
    want = [(HERE / f).read_text("utf-8") for f in ("package.json", "package-lock.json")]
    stamp = HOME / "installed.json"
    if not stamp.exists() or json.loads(stamp.read_text("utf-8")) != want:
        HOME.mkdir(parents=True, exist_ok=True)
        for name, text in zip(("package.json", "package-lock.json"), want):
            (HOME / name).write_text(text, "utf-8")
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=HOME,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300, check=False)
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode and re.search(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT", text):
            pytest.skip("no package registry can be reached: the MCP conformance suite is not here")
        assert done.returncode == 0, text
        stamp.write_text(json.dumps(want), "utf-8")
    found = list(HOME.glob("node_modules/node-linux-*/bin/node"))
    if not found:
        pytest.skip("there is no Node.js 22 package for this machine")
    return found[0]


@pytest.fixture(scope="session")
def url():
    program = f"build/{variant()}/mcp_server"
    subprocess.run(["make", "--no-print-directory", f"VARIANT={variant()}", program], cwd=TOP,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    with subprocess.Popen([TOP / program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        port = json.loads(server.stdout.readline())["port"]
        yield f"http://127.0.0.1:{port}/mcp"
        server.stdin.close()
        assert server.wait(timeout=20) == 0, "the server did not end in order"


def suite(node, name, *args):
    return subprocess.run([node, HOME / "node_modules" / name / "dist" / "index.js", *args],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120, check=False)


def failed_checks(folder):
    """The ids of the checks that did not succeed, and how many there were in all."""
    checks = [c for f in folder.rglob("checks.json") for c in json.loads(f.read_text("utf-8"))]
    bad = {c["id"]: c.get("errorMessage") for c in checks
           if c["status"] not in ("SUCCESS", "INFO", "SKIPPED")}
    return bad, len(checks)


@pytest.mark.parametrize("release,scenario",
                         [pytest.param(r, s, id=f"{r[1]}-{s}") for r in APPLY for s in APPLY[r]])
def test_scenario(node, url, tmp_path, release, scenario):
    name, revision = release
    done = suite(node, name, "server", "--url", url, "--scenario", scenario, "--spec-version",
                 revision, "-o", tmp_path)
    bad, count = failed_checks(tmp_path)
    lacking = LACKING.get(scenario, {}) if release is NEXT else {}
    assert count > 0, done.stdout.decode("utf-8", "replace")
    assert set(bad) == set(lacking), bad
    if not lacking:
        assert done.returncode == 0, done.stdout.decode("utf-8", "replace")


@pytest.mark.parametrize("release", APPLY, ids=lambda r: r[1])
def test_no_scenario_is_forgotten(node, release):
    """Each server scenario of the suite runs here or has its reason, which is printed."""
    text = suite(node, release[0], "list").stdout.decode("utf-8", "replace")
    servers = text.split("Server scenarios", 1)[1].split("Client scenarios", 1)[0]
    names = re.findall(r"^\s+- (\S+) \[", servers, re.M)
    assert len(names) > 25
    reasons = DOES_NOT_APPLY + ELSEWHERE[release]
    for scenario in names:
        if scenario in APPLY[release]:
            continue
        why = [reason for pattern, reason in reasons if re.fullmatch(pattern, scenario)]
        assert why, f"{scenario} is neither run nor explained"
        print(f"{release[1]} {scenario}: {why[0]}")
