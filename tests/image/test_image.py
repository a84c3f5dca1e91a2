# SPDX-License-Identifier: Apache-2.0
"""The sandbox's image: what is in it, what is not, that it is what the lock names, and
that it can be built again to the same id. Looks into the layers in build/image, and at the
engine for what only the engine can tell. Nothing here needs a running server."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
OUT = TOP / "build" / "image"
BUILD = TOP / "container" / "build-image.sh"
PINS = TOP / "container" / "image.lock"


def flat_yaml(path):
    lines = [x for x in path.read_text().splitlines() if x and not x.startswith("#")]
    return {k: v.strip('"') for k, v in (x.split(": ", 1) for x in lines)}


@pytest.fixture(scope="session")
def lock():
    path = OUT / "image.lock"
    if not path.exists():
        pytest.skip(f"no image was built ({path} is missing): run `make image`")
    return flat_yaml(path)


def layer_path(kind):
    paths = list(OUT.glob(f"{kind}-*.tar"))
    assert len(paths) == 1, f"{kind}: expected one cached layer, found {paths}"
    return paths[0]


@pytest.fixture(scope="session")
def layers(lock):
    """The layers' paths in order; their bytes are those that the lock names."""
    paths = [layer_path(kind) for kind in ("base", "claude", "runner")]
    for kind, path in zip(("base", "claude", "runner"), paths):
        with open(path, "rb") as source:
            digest = hashlib.sha256()
            for block in iter(lambda: source.read(1 << 20), b""):
                digest.update(block)
        assert lock[f"layer.{kind}"] == "sha256:" + digest.hexdigest(), path
    return paths


@pytest.fixture(scope="session")
def members(layers):
    """{absolute path: TarInfo} of the image: later layers over earlier ones."""
    out = {}
    for path in layers:
        with tarfile.open(path) as tar:
            for member in tar:
                out["/" + member.name.lstrip("./")] = member
    return out


@pytest.fixture(scope="session")
def base_file(layers):
    def read(name):
        with tarfile.open(layers[0]) as tar:
            return tar.extractfile("./" + name).read().decode()
    return read


@pytest.fixture(scope="session")
def engine(lock):
    if shutil.which("docker") is None or \
            subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        pytest.skip("no Docker engine answers: run `container/setup.sh engine`")
    return "docker"


def run_build(*args):
    return subprocess.run([str(BUILD), *args], capture_output=True, text=True)


def docker_run(image, *argv):
    return subprocess.run(
        ["docker", "run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL",
         "--user=10001:10001", "--tmpfs=/tmp", "--env=HOME=/tmp", f"--entrypoint={argv[0]}",
         image, *argv[1:]], capture_output=True, text=True, timeout=60)


# --- what the lock promises -------------------------------------------------------------

def test_lock_agrees_with_its_config_and_layers(lock, layers):
    config = (OUT / "config.json").read_bytes()
    assert lock["config"] == "sha256:" + hashlib.sha256(config).hexdigest()
    parsed = json.loads(config)
    assert parsed["rootfs"]["diff_ids"] == [
        lock["layer.base"], lock["layer.claude"], lock["layer.runner"]]
    assert parsed["config"]["Entrypoint"] == ["/usr/local/bin/runner"]
    assert sorted(x.split("=")[0] for x in parsed["config"]["Env"]) == ["LANG", "PATH"]


def test_lock_has_the_pinned_claude(lock, layers):
    pins = flat_yaml(PINS)
    assert lock["claude.version"] == pins["claude.version"]
    with tarfile.open(layers[1]) as tar:
        binary = tar.extractfile("usr/local/bin/claude")
        digest = hashlib.sha256()
        for block in iter(lambda: binary.read(1 << 20), b""):
            digest.update(block)
    assert lock["claude.sha256"] == digest.hexdigest()


def test_lock_has_the_runner_in_the_image(lock, layers):
    with tarfile.open(layers[2]) as tar:
        data = tar.extractfile("usr/local/bin/runner").read()
    assert lock["runner.sha256"] == hashlib.sha256(data).hexdigest()


def test_engine_has_exactly_the_locked_image(engine, lock):
    found = subprocess.run(
        [engine, "image", "inspect", "--format={{.Id}} {{json .RootFS.Layers}}", lock["image"]],
        capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    ident, diff_ids = found.stdout.split(" ", 1)
    assert ident == lock["image"]
    assert json.loads(diff_ids) == [
        lock["layer.base"], lock["layer.claude"], lock["layer.runner"]]


# --- what is in it ----------------------------------------------------------------------

def test_users(base_file):
    users = {x.split(":")[0]: x.split(":") for x in base_file("etc/passwd").splitlines()}
    assert users["agent"][2:4] == ["10001", "10001"]
    assert users["runner"][2:4] == ["10002", "10002"]
    assert len({x[2] for x in users.values()}) == len(users), "two users share an id"
    groups = {x.split(":")[0]: x.split(":") for x in base_file("etc/group").splitlines()}
    assert groups["agent"][2] == "10001" and groups["runner"][2] == "10002"
    for name, row in groups.items():
        assert not {"agent", "runner"} & set(row[3].split(",")), f"extra group {name}"
    for row in base_file("etc/shadow").splitlines():
        assert row.split(":")[1] in ("*", "!", "!*"), f"a password: {row.split(':')[0]}"


def test_mount_points(members):
    for path, owner in (("/workspace", 10001), ("/session", 10001), ("/global", 0),
                        ("/skills", 0)):
        assert members[path].isdir() and members[path].uid == owner, path


def test_no_setuid_no_file_capability(members):
    bad = [p for p, m in members.items() if not m.issym() and m.mode & 0o6000]
    assert bad == []
    assert [p for p, m in members.items()
            if any("security.capability" in k for k in m.pax_headers)] == []


def test_nothing_is_world_writable_but_tmp(members):
    bad = [p for p, m in members.items() if not m.issym() and m.mode & 0o002]
    assert bad == ["/tmp"]


def test_only_ours_belongs_to_the_agent(members):
    owned = sorted(p for p, m in members.items() if m.uid >= 10000 or m.gid >= 10000)
    assert owned == ["/session", "/workspace"]


def test_no_machine_and_no_clock_in_it(members):
    for path in ("/etc/machine-id", "/etc/hostname", "/etc/resolv.conf"):
        assert path not in members, path
    epoch = int(flat_yaml(PINS)["epoch"])
    assert [p for p, m in members.items() if m.mtime > epoch] == []
    assert [p for p in members if p.endswith(".pyc")] == []
    assert [p for p, m in members.items() if p.startswith("/var/log/") and m.isfile()] == []
    assert [p for p, m in members.items() if m.ischr() or m.isblk()] == []


def test_no_package_manager_left(members):
    assert [p for p in ("/usr/bin/apt-get", "/usr/bin/apt", "/usr/bin/npm", "/usr/bin/node",
                        "/usr/bin/docker") if p in members] == []


def test_tools_run_as_the_agent(engine, lock):
    probe = ("git --version; curl --version; jq --version; rg --version; python3 --version; "
             "bash --version; ps --version; ls /etc/ssl/certs/ca-certificates.crt; "
             "claude --version")
    done = docker_run(lock["image"], "/bin/bash", "-ec", probe)
    assert done.returncode == 0, done.stderr
    for word in ("git version", "curl ", "jq-", "ripgrep", "Python 3", "GNU bash", "procps",
                 "ca-certificates.crt", lock["claude.version"]):
        assert word in done.stdout, f"{word!r} missing in:\n{done.stdout}"


# --- SBOM -------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def sbom(lock):
    data = (OUT / "sbom.spdx.json").read_bytes()
    assert lock["sbom.sha256"] == hashlib.sha256(data).hexdigest()
    return json.loads(data)


def test_sbom_is_spdx(sbom, lock):
    assert sbom["spdxVersion"] == "SPDX-2.3" and sbom["dataLicense"] == "CC0-1.0"
    assert sbom["SPDXID"] == "SPDXRef-DOCUMENT"
    assert lock["config"].split(":")[1] in sbom["documentNamespace"]
    assert "#" not in sbom["documentNamespace"] and ":" in sbom["documentNamespace"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", sbom["creationInfo"]["created"])
    assert sbom["creationInfo"]["creators"]
    ids = [p["SPDXID"] for p in sbom["packages"]]
    assert len(set(ids)) == len(ids)
    own = {x["licenseId"] for x in sbom["hasExtractedLicensingInfos"]}
    for package in sbom["packages"]:
        assert re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", package["SPDXID"])
        for key in ("name", "versionInfo", "downloadLocation", "licenseConcluded",
                    "licenseDeclared", "copyrightText"):
            assert package[key], (package["name"], key)
        assert package["filesAnalyzed"] is False
        if package["licenseDeclared"].startswith("LicenseRef-"):
            assert package["licenseDeclared"] in own
    for relation in sbom["relationships"]:
        assert relation["spdxElementId"] in ids + ["SPDXRef-DOCUMENT"]
        assert relation["relatedSpdxElement"] in ids
    described = [r["relatedSpdxElement"] for r in sbom["relationships"]
                 if r["relationshipType"] == "DESCRIBES"]
    assert described == ["SPDXRef-Image"]


def test_sbom_covers_every_package(sbom, base_file, engine, lock):
    """Against dpkg's own answer from inside the image, not the code that wrote the SBOM."""
    done = docker_run(lock["image"], "/usr/bin/dpkg-query", "-W",
                      "-f=${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n")
    assert done.returncode == 0, done.stderr
    installed = {tuple(x.split("\t")[1:]) for x in done.stdout.splitlines()
                 if x.startswith("ii")}
    assert len(installed) > 50
    purls = {}
    for package in sbom["packages"]:
        for ref in package.get("externalRefs", []):
            purls[ref["referenceLocator"]] = package
    listed = set()
    for purl, package in purls.items():
        match = re.fullmatch(r"pkg:deb/debian/[^@]+@[^?]+\?arch=([a-z0-9]+)&distro=debian-12", purl)
        if match:
            listed.add((package["name"], package["versionInfo"], match[1]))
    assert listed == installed
    known = [p for p in purls.values() if p["licenseDeclared"] != "NOASSERTION"]
    assert len(known) > len(installed) // 4, "the licence reader finds next to nothing"


def test_sbom_names_claude_and_runner(sbom, lock):
    by_id = {p["SPDXID"]: p for p in sbom["packages"]}
    claude, runner = by_id["SPDXRef-Claude-Code"], by_id["SPDXRef-Runner"]
    assert claude["versionInfo"] == lock["claude.version"]
    assert claude["checksums"] == [
        {"algorithm": "SHA256", "checksumValue": lock["claude.sha256"]}]
    assert runner["checksums"] == [
        {"algorithm": "SHA256", "checksumValue": lock["runner.sha256"]}]
    contained = {r["relatedSpdxElement"] for r in sbom["relationships"]
                 if r["relationshipType"] == "CONTAINS"}
    assert contained == set(by_id) - {"SPDXRef-Image"}


# --- building ---------------------------------------------------------------------------

@pytest.fixture
def scratch():
    """A build folder that shares the cached layers and the download by hard link."""
    with tempfile.TemporaryDirectory(dir=TOP / "build") as name:
        path = Path(name)
        (path / "download").mkdir()
        for source in list(OUT.glob("*.tar*")) + list(OUT.glob("download/*.tgz")):
            os.link(source, path / source.relative_to(OUT))
        yield path


def pins_with(scratch, key, value):
    text, count = re.subn(rf"(?m)^{re.escape(key)}: .*$", f"{key}: {value}", PINS.read_text())
    assert count == 1
    path = scratch / "pins"
    path.write_text(text)
    return path


def runner_binary(scratch, layers):
    path = scratch / "runner"
    with tarfile.open(layers[2]) as tar:
        path.write_bytes(tar.extractfile("usr/local/bin/runner").read())
    return path


def test_wrong_integrity_is_refused(scratch, layers):
    arch = "arm64" if os.uname().machine == "aarch64" else "amd64"
    key = f"claude.integrity.{arch}"
    pins = pins_with(scratch, key, "sha512-" + "A" * 86 + "==")
    done = run_build(str(runner_binary(scratch, layers)), "--no-load", "--out", str(scratch),
                     "--lock", str(pins))
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert str(pins) in last and key in last and "fix:" in last
    assert not list(scratch.glob("claude-*.tar")) and not (scratch / "image.lock").exists()


def test_missing_key_is_refused(scratch, layers):
    pins = pins_with(scratch, "suite", "")
    done = run_build(str(runner_binary(scratch, layers)), "--no-load", "--out", str(scratch),
                     "--lock", str(pins))
    assert done.returncode != 0
    assert str(pins) in done.stderr and "suite" in done.stderr and "fix:" in done.stderr


def test_missing_runner_is_refused(scratch, lock):
    done = run_build(str(scratch / "none"), "--no-load", "--out", str(scratch))
    assert done.returncode != 0 and "fix: make runner" in done.stderr


def test_cached_layers_give_the_locked_id(scratch, lock, layers):
    done = run_build(str(runner_binary(scratch, layers)), "--no-load", "--out", str(scratch))
    assert done.returncode == 0, done.stderr
    assert "making the Debian layer" not in done.stderr
    again = flat_yaml(scratch / "image.lock")
    assert {k: again[k] for k in ("config", "sbom.sha256")} == \
        {k: lock[k] for k in ("config", "sbom.sha256")}
    idle = run_build(str(runner_binary(scratch, layers)), "--no-load", "--out", str(scratch))
    assert idle.returncode == 0 and idle.stderr == ""


def test_another_runner_changes_only_the_last_layer(scratch, lock, layers):
    runner = runner_binary(scratch, layers)
    runner.write_bytes(runner.read_bytes() + b"x")
    done = run_build(str(runner), "--no-load", "--out", str(scratch))
    assert done.returncode == 0, done.stderr
    other = flat_yaml(scratch / "image.lock")
    assert other["layer.base"] == lock["layer.base"]
    assert other["layer.claude"] == lock["layer.claude"]
    assert other["layer.runner"] != lock["layer.runner"] and other["config"] != lock["config"]


@pytest.mark.skipif(not os.environ.get("CHELA_LONG"),
                    reason="makes the Debian layer twice, 1 to 2 minutes: set CHELA_LONG=1")
def test_two_builds_give_the_same_id(scratch, layers):
    if os.geteuid() != 0 and subprocess.run(["sudo", "-n", "true"]).returncode != 0:
        pytest.skip("mmdebstrap needs root, and sudo asks for a password")
    done = run_build(str(runner_binary(scratch, layers)), "--check-reproducible", "--out",
                     str(scratch))
    assert done.returncode == 0, done.stderr
    ids = re.findall(r"build \d of 2 is (sha256:[0-9a-f]{64})", done.stderr)
    assert len(ids) == 2 and ids[0] == ids[1] == done.stdout.strip()
