# SPDX-License-Identifier: Apache-2.0
"""A sandbox of a task or of a gate, as what runs in it sees it: nothing of its own but two empty folders, nothing of others to
change, nothing of other groups to see. Then it leaves behind what should hurt whoever cleans up. ARGS: names of files that
other groups have, and whether there are skills."""
import os
import pathlib

from common import ARGS, Report

r = Report()


def new(path, make):
    make(path)
    return path


def touch(path):
    with open(path, "x", encoding="utf-8"):
        pass


WRITES = (("file", touch), ("folder", os.mkdir), ("link", lambda p: os.symlink("/etc", p)))
for top in ["/group", "/global"] + (["/skills", "/skills/.claude/skills/welcome"] if ARGS[1] else []):
    r.check(f"{top} is not there", os.path.isdir(top))
    for what, make in WRITES:
        r.must_fail(f"{what} in {top}", new, f"{top}/planted", make)
    r.must_fail(f"chmod {top}", os.chmod, top, 0o777)
    r.must_fail(f"a file without a name in {top}", os.open, top, os.O_TMPFILE | os.O_WRONLY)
    for name in os.listdir(top):
        path = f"{top}/{name}"
        if not os.path.isfile(path):
            continue
        r.must_fail(f"write {path}", os.open, path, os.O_WRONLY)
        r.must_fail(f"truncate {path}", os.truncate, path, 0)
        r.must_fail(f"unlink {path}", os.unlink, path)
        r.must_fail(f"rename {path}", os.rename, path, path + "x")
        r.must_fail(f"link {path}", os.link, path, "/workspace/linked")
        r.must_fail(f"utime {path}", os.utime, path)
r.must_fail("remount /group", lambda: os.rmdir("/group"))

# Fresh, but for what this test has copied here, and the agent's own state.
r.check(f"/workspace was not empty: {os.listdir('/workspace')}",
        set(os.listdir("/workspace")) <= {"common.py", "disposable.py", "args.json"})
for top, _, names in os.walk("/session"):
    for name in names:
        text = pathlib.Path(top, name)
        r.check(f"another talk is at {text}", not name.endswith(".jsonl") or
                "said before the task" not in text.read_text("utf-8", "replace"))

# Nothing of another group, under whatever name.
for top, subs, names in os.walk("/", followlinks=False):
    if top in ("/proc", "/sys"):
        subs[:] = []
        continue
    for name in subs + names:
        r.check(f"in sight: {top}/{name}", name not in ARGS[0])
for line in pathlib.Path("/proc/self/mounts").read_text("utf-8").splitlines():
    where, options = line.split()[1], line.split()[3].split(",")
    if where in ("/group", "/global") or where.startswith("/skills"):
        r.check(f"{where} is {options}", "ro" in options)

# What is left for the one who cleans up.
own = pathlib.Path("/workspace/left")
own.mkdir()
for i, to in enumerate(("/etc", "/etc/passwd", "/", "..", "../..", "../../..", "../../../groups/main",
                        "../../../../groups/main", "../../../chela.db", "/group", "/global", "/proc/self/root")):
    os.symlink(to, own / f"link{i}")
    os.symlink(to, f"/session/link{i}")
touch(own / "line\nbreak")
(own / "closed").mkdir()
touch(own / "closed" / "file")
(own / "closed").chmod(0)
at = os.open(own, os.O_RDONLY)
for _ in range(3000):
    os.mkdir("d", dir_fd=at)
    deeper = os.open("d", os.O_RDONLY, dir_fd=at)
    os.close(at)
    at = deeper
os.symlink("/etc", "link", dir_fd=at)
os.close(at)
r.check("/workspace is not writable", (own / "link0").is_symlink())
r.seen.update(wake=True, data=f"holes {r.holes} tried {r.tried} end")
r.end()
