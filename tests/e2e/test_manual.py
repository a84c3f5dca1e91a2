# SPDX-License-Identifier: Apache-2.0
"""The manual pages say all that there is, as the program and the sample configuration have it, and are sound."""
import json
import pathlib
import re
import shutil
import subprocess

import pytest
import server as servers

ROOT = servers.ROOT
MAN = ROOT / "man"


def keys_of(path):
    """The full name of each key that has a value in a commented sample."""
    names, found = [], []
    for line in path.read_text("utf-8").splitlines():
        m = re.match(r"( *)([a-z_]+):(.*)", line)
        if not m:
            continue
        depth = len(m.group(1)) // 2
        names[depth:] = [m.group(2)]
        if m.group(3).strip():
            found.append(".".join(names))
    return found


@pytest.mark.parametrize("sample,page", [("chela.yaml", "chela.yaml.5"),
                                         ("policy.default.yaml", "chela-policy.5")])
def test_every_key_stands_in_its_page(sample, page):
    text = (MAN / page).read_text("utf-8")
    keys = keys_of(ROOT / "config" / sample)
    assert len(keys) >= 5
    missing = [k for k in keys if f".It Cm {k}\n" not in text]
    assert not missing, missing
    invented = [k for k in re.findall(r"^\.It Cm (\S+)$", text, re.M) if k not in keys]
    assert not invented, invented


def test_every_command_stands_in_its_page(tmp_path):
    text = (MAN / "chela.1").read_text("utf-8")
    out = subprocess.run([servers.BINARY, "help", "--json"], capture_output=True, text=True,
                         env=servers.environment(), check=True)
    tables = json.loads(out.stdout)
    local = {c["name"] for c in tables["local"]}
    names = {c["name"] for c in tables["commands"]} | local
    assert len(names) > 20
    said = {re.sub(r" (No|Op|Ar|Oo|Fl) .*", "", m) for m in re.findall(r"^\.It Ic (.*)$", text, re.M)}
    assert not names - said, names - said
    assert not said - names, said - names
    for c in tables["commands"]:
        if c["args"] and c["name"] not in local:
            assert f".It Ic {c['name']} No {c['args']}\n" in text, c["name"]


def test_every_command_stands_in_the_readme():
    """In the left column of its tables: a noun with its verbs, as in `groups list|add`."""
    out = subprocess.run([servers.BINARY, "help", "--json"], capture_output=True, text=True,
                         env=servers.environment(), check=True)
    text = (ROOT / "README.md").read_text("utf-8")
    text = text[text.index("\n## Commands\n"):text.index("\n## Policy and configuration\n")].replace("\\|", "|")
    said = set()
    for row in re.findall(r"^\| ?`.*$", text, re.M):
        for words in re.findall(r"`([^`]+)`", re.split(r" \| ", row, maxsplit=1)[0]):
            first, *rest = re.sub(r"^chela ", "", words).split(" ")
            said.add(first)
            said |= {f"{first} {verb}" for verb in (rest[0].split("|") if rest else [])}
    names = {c["name"] for c in json.loads(out.stdout)["commands"]}
    missing = {n for n in names if n not in said and n.removesuffix(" list") not in said}
    assert len(names) > 40 and not missing, missing


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if re.match(r"\w+:", target):
            continue
        name, _, part = target.partition("#")
        there = path.parent / name if name else path
        assert there.exists(), f"{page}: {target}"
        if part:
            headings = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.M)
            assert part in map(anchor, headings), f"{page}: {target}"


@pytest.mark.parametrize("page", sorted(p.name for p in MAN.glob("*.[15]")))
def test_pages_are_sound(page):
    if not shutil.which("man") or not shutil.which("groff"):
        pytest.skip("there is no man")
    out = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", str(MAN / page)],
                         capture_output=True, text=True, check=True)
    assert out.stderr == ""
    if shutil.which("mandoc"):
        lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", str(MAN / page)],
                              capture_output=True, text=True, check=False)
        assert lint.returncode == 0, lint.stdout


def test_the_unit_is_sound(tmp_path):
    """systemd itself takes it; what it runs is what make install puts there."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    text = (ROOT / "systemd/chela.service").read_text("utf-8")
    assert "/usr/local/bin/chela --home /var/lib/chela serve" in text
    unit = pathlib.Path(tmp_path / "chela.service")
    unit.write_text(re.sub(r"^Documentation=.*$", "", text.replace("/usr/local/bin/chela", "/bin/true"),
                           flags=re.M), "utf-8")
    out = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True,
                         check=False)
    ours = [line for line in out.stderr.splitlines() if "chela" in line]
    assert out.returncode == 0 and not ours, out.stderr
