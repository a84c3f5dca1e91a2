# SPDX-License-Identifier: Apache-2.0
"""`make lint`: what a reviewer should not have to say.

Run from the top of the tree. Prints one line a finding and one line a check that could not be
made; the exit status is 1 when there is a finding.
"""
import pathlib
import re
import shutil
import subprocess
import sys

import floors

FILE_LINES = 500
FUNCTION_LINES = 80
CORE_LINES = 4000  # of code: neither blank nor comment
SERVER_LINES = 15000
CORE = ("src/warden/", "src/policy/", "src/door/", "src/gateway/")
SPDX = "SPDX-License-Identifier: Apache-2.0"
SOURCE = {".c", ".h", ".py", ".sh"}
# Machine names and stand-ins that must not be committed. In pieces, so that this file passes.
MARKS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
# a template for mktemp is a row of the third mark's letter, longer than the mark itself


def tree():
    """All files that are, or would be, committed."""
    done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"],
                          stdout=subprocess.PIPE, check=True)
    names = done.stdout.decode("utf-8").split("\0")
    return sorted(p for p in map(pathlib.Path, filter(None, names)) if p.is_file())


def is_script(path):
    if path.suffix == ".sh":
        return True
    if path.suffix:
        return False
    with open(path, "rb") as f:
        return re.match(rb"#!\s*\S*/(env )?(ba|da)?sh\b", f.readline()) is not None


def functions(lines):
    """Yields (line number, length) of each function: a brace alone in column 0 opens it."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield start, number - start - 1
            start = None


def code_lines(lines):
    """How many lines hold code, near enough: comments here start their line with / or *."""
    return sum(1 for line in lines if line.strip() and not re.match(r"\s*(//|/\*|\*[ /]|\*$)", line))


def check_sizes(files):
    core = server = 0
    for path in files:
        if path.suffix not in (".c", ".h"):
            continue
        lines = path.read_text("utf-8").split("\n")
        count = len(lines) - 1
        if count > FILE_LINES:
            yield f"{path}: {count} lines, more than {FILE_LINES}"
        for start, length in functions(lines):
            if length > FUNCTION_LINES:
                yield f"{path}:{start}: a function of {length} lines, more than {FUNCTION_LINES}"
        code = code_lines(lines)
        if path.as_posix().startswith(CORE):
            core += code
        if path.parts[0] in ("src", "channels"):
            server += code
    if core > CORE_LINES:
        yield f"the trusted core has {core} lines of code, more than {CORE_LINES}"
    print(f"  trusted core {core} of {CORE_LINES} lines of code, server {server} (it aims at {SERVER_LINES})")


def check_texts(files):
    for path in files:
        source = path.suffix in SOURCE or path.name == "Makefile" or is_script(path)
        if not source:
            continue
        text = path.read_text("utf-8")
        if SPDX not in "\n".join(text.split("\n", 3)[:3]):
            yield f"{path}: no SPDX line at the top"
        for number, line in enumerate(text.split("\n"), 1):
            if MARKS.search(line):
                yield f"{path}:{number}: unfinished: {line.strip()}"
            if line != line.rstrip():
                yield f"{path}:{number}: white space at the end"


def tool(command, names, pattern):
    """The tool's complaints that match a pattern: (file, line, text)."""
    if not names:
        return []
    if not shutil.which(command[0]):
        print(f"  not checked: {command[0]} is not installed")
        return []
    done = subprocess.run([*command, *names], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    text = done.stdout.decode("utf-8", "replace")
    found = re.findall(pattern, text, re.M)
    if done.returncode and not found:
        found = [(command[0], str(done.returncode), text.strip())]
    return found


def check_tools(files):
    c = [str(p) for p in files if p.suffix in (".c", ".h")]
    python = [str(p) for p in files if p.suffix == ".py"]
    shell = [str(p) for p in files if is_script(p)]
    # another version of the formatter has other rules: Debian 12's decides
    wrong = {}
    for name, line, _ in tool(["clang-format-14", "--dry-run", "-Werror"], c,
                              r"^([^\s:][^:\n]*):(\d+):\d+: (error: .*)$"):
        wrong.setdefault(name, []).append(line)
    for name, lines in wrong.items():
        yield f"{name}:{lines[0]}: not formatted here and in {len(lines) - 1} more places: make format"
    for name, line, text in tool(["shellcheck", "-x", "-S", "warning", "-f", "gcc"], shell,
                                 r"^([^\s:][^:\n]*):(\d+):\d+: (.*)$"):
        yield f"{name}:{line}: shellcheck: {text}"
    for name in python:
        try:
            compile(pathlib.Path(name).read_text("utf-8"), name, "exec")
        except SyntaxError as wrong:
            yield f"{name}: {wrong}"


def main():
    files = tree()
    found = []
    for check in (floors.check, check_sizes, check_texts, check_tools):
        found += check(files)
    for line in found:
        print(f"lint: {line}")
    print(f"  {len(files)} files, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
