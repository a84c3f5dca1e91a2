# SPDX-License-Identifier: Apache-2.0
"""The whole tree as the agent sees it: where can it write, what would give it powers, which mounts
are there. ARGS: files of the host that must not be there. Not for main, which may write to /global."""
import mmap
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

from common import ARGS, GVISOR, Report

OURS = ("/workspace", "/tmp", "/session")
r = Report()
dirs = files = 0
open_devices = {"null", "zero", "full", "random", "urandom", "tty", "ptmx"}
if GVISOR:
    open_devices |= {"fuse"}  # of gVisor's own kernel; of no use without the power to mount


def new_file(d, make):
    path = f"{d}/chela-attack-{os.getpid()}"
    make(path)
    os.unlink(path)
    return path


def try_dir(d):
    r.must_fail(f"create in {d}", new_file, d, lambda p: os.close(os.open(p, os.O_CREAT | os.O_WRONLY)))
    r.must_fail(f"symlink in {d}", new_file, d, lambda p: os.symlink("/etc/passwd", p))
    r.must_fail(f"mkdir in {d}", os.mkdir, f"{d}/chela-attack")
    r.must_fail(f"chmod {d}", os.chmod, d, 0o777)
    r.must_fail(f"tmpfile in {d}", os.open, d, os.O_TMPFILE | os.O_WRONLY)


def try_file(path, st):
    r.must_fail(f"append to {path}", os.open, path, os.O_WRONLY | os.O_APPEND)
    if files % 8 == 0:
        r.must_fail(f"chmod {path}", os.chmod, path, 0o777)
        r.must_fail(f"rename {path}", os.rename, path, path + ".x")
        r.must_fail(f"link of {path}", os.link, path, f"{path}.x")
        r.must_fail(f"utime {path}", os.utime, path)
    if st.st_mode & 0o6000:
        r.hole(f"setuid or setgid: {path}")
    try:
        os.getxattr(path, "security.capability")
        r.hole(f"file capabilities: {path}")
    except OSError:
        pass


for top, subs, names in os.walk("/", followlinks=False):
    if top in ("/proc", "/sys") or top in OURS:
        subs[:] = []
        continue
    dirs += 1
    if top != "/dev/pts":
        try_dir(top)
    for name in names:
        path = f"{top}/{name}".replace("//", "/")
        st = os.lstat(path)
        if stat.S_ISREG(st.st_mode):
            files += 1
            try_file(path, st)
        elif top == "/dev" and not stat.S_ISLNK(st.st_mode):
            r.check(f"device {path}", name in open_devices or not os.access(path, os.R_OK | os.W_OK)
                    or stat.S_ISDIR(st.st_mode))
        elif stat.S_ISBLK(st.st_mode) or stat.S_ISSOCK(st.st_mode):
            r.hole(f"a block device or a socket: {path}")

# What the kernel shows: nothing of it may be set.
for top, subs, names in os.walk("/sys"):
    if top.count("/") > 4:
        subs[:] = []
    for name in names[:200]:
        path = f"{top}/{name}"
        if os.path.isfile(path):
            r.must_fail(f"write {path}", os.open, path, os.O_WRONLY)
for top, subs, names in os.walk("/proc/sys"):
    for name in names:
        # "own" settings of gVisor's kernel are not the host's, but none is for the agent either
        r.must_fail(f"write {top}/{name}", os.open, f"{top}/{name}", os.O_WRONLY)
for name in ("sysrq-trigger", "kcore", "kmsg", "kallsyms", "keys", "timer_list", "sched_debug", "acpi",
             "scsi", "kpagecount", "kpageflags", "vmallocinfo", "slabinfo"):
    path = f"/proc/{name}"
    if os.path.exists(path) and stat.S_ISCHR(os.stat(path).st_mode):
        r.check(f"{path} is covered", os.stat(path).st_rdev == os.makedev(1, 3))
        continue
    r.must_fail(f"write {path}", os.open, path, os.O_WRONLY)
    if os.path.isfile(path):
        def first(p=path):
            data = pathlib.Path(p).open("rb").read(64)
            if not data or not data.split()[0].strip(b"0"):
                raise OSError("nothing to see")
            return data
        r.must_fail(f"read {path}", first)

# Devices cannot be made.
for d in OURS:
    for kind, dev in ((stat.S_IFCHR, (1, 1)), (stat.S_IFBLK, (8, 0)), (stat.S_IFBLK, (254, 0))):
        r.must_fail(f"mknod {dev} in {d}", os.mknod, f"{d}/node", kind | 0o666, os.makedev(*dev))

# What should be writable is (or the attempts above would prove nothing).
for d in OURS:
    r.check(f"{d} is not writable", new_file(d, lambda p: open(p, "x").close()))

mounts = {}
for line in pathlib.Path("/proc/self/mounts").read_text("utf-8").splitlines():
    _, where, kind, options = line.split()[:4]
    mounts[where] = (kind, set(options.split(",")))
r.seen["mounts"] = {k: [v[0], sorted(v[1])] for k, v in mounts.items()}
for where, words in (("/", {"ro"}), ("/global", {"ro"}), ("/tmp", {"noexec"} if GVISOR else {"noexec", "nosuid", "nodev"})):
    r.check(f"{where} is mounted {mounts.get(where)}", words <= mounts[where][1])
r.check(f"/tmp is a {mounts['/tmp'][0]}", mounts["/tmp"][0] == "tmpfs")

# noexec in truth: by exec, by the loader, by mmap, as a script.
shutil.copy("/bin/true", "/tmp/true")
os.chmod("/tmp/true", 0o755)
r.must_fail("exec in /tmp", subprocess.run, ["/tmp/true"])
# gVisor's noexec knows exec alone
loader = not GVISOR and next(pathlib.Path("/lib64").glob("ld-linux*"), None)
if loader:
    r.check("exec by the loader", subprocess.run([str(loader), "/tmp/true"], check=False,
                                                 capture_output=True).returncode != 0)
with open("/tmp/true", "rb") as f:
    GVISOR or r.must_fail("mmap to execute", lambda: mmap.mmap(f.fileno(), 4096, mmap.MAP_PRIVATE,
                                                     mmap.PROT_READ | mmap.PROT_EXEC))
os.unlink("/tmp/true")
# setuid bits that the agent sets itself do nothing for it
own = tempfile.mkdtemp(dir="/workspace")
shutil.copy("/usr/bin/id", f"{own}/id")
os.chmod(f"{own}/id", 0o6755)
ids = subprocess.run([f"{own}/id", "-u"], capture_output=True, text=True, check=False).stdout.strip()
r.check(f"a setuid file of mine runs as {ids}", ids in ("10001", ""))
shutil.rmtree(own)

for path in ARGS[0]:
    r.check(f"the host's {path} is in sight", not os.path.lexists(path))
r.check(f"only {dirs} folders and {files} files", dirs > 200 and files > 1000)
r.seen.update(dirs=dirs, files=files, gvisor=GVISOR)
r.end()
