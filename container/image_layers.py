#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Packs the sandbox's image: layer tars, the image's config, the archive to load.

Called by build-image.sh only. The archive is written here and not by `docker import`
or `docker build`, because both stamp the clock into the config, and the config's hash is
the image's id. Everything written is a pure function of the arguments: names in order,
one time stamp, numeric owners.

    claude TGZ OUT LOCK KEY INTEGRITY   layer with Claude Code's binary, after the check
    runner BINARY OUT                   layer with the runner
    config OUT ARCH LAYER...            the image's config; prints its id
    archive CONFIG TAG OMIT LAYER...    the archive on stdout, less the first OMIT layers

The time stamp is SOURCE_DATE_EPOCH. LAYER is a tar with its digest beside it (.sha256).
"""

import base64
import hashlib
import io
import json
import os
import sys
import tarfile
import time

EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
CHUNK = 1 << 20
BIN_DIR = "usr/local/bin"
ENV = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG=C.UTF-8",
]


class HashingFile:
    """A file to write that knows the SHA-256 of what went through it."""

    def __init__(self, path):
        self.out = open(path, "wb")
        self.sha256 = hashlib.sha256()

    def write(self, data):
        self.sha256.update(data)
        return self.out.write(data)


class HashingReader:
    """A file to read that knows the SHA-256 of what went through it."""

    def __init__(self, source):
        self.source = source
        self.sha256 = hashlib.sha256()

    def read(self, size=-1):
        data = self.source.read(size)
        self.sha256.update(data)
        return data


def entry(name, kind, mode, size=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.mtime = kind, mode, size, EPOCH
    return info


def write_binary_layer(out_path, name, source, size):
    """One executable in BIN_DIR. The folders are in the tar too: an engine that makes a
    missing parent itself gives it a mode of its own."""
    out = HashingFile(out_path + ".new")
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.USTAR_FORMAT, bufsize=CHUNK) as tar:
        parts = BIN_DIR.split("/")
        for depth in range(1, len(parts) + 1):
            tar.addfile(entry("/".join(parts[:depth]), tarfile.DIRTYPE, 0o755))
        tar.addfile(entry(f"{BIN_DIR}/{name}", tarfile.REGTYPE, 0o755, size), source)
    out.out.close()
    with open(out_path + ".sha256", "w") as digest:
        digest.write(out.sha256.hexdigest() + "\n")
    os.replace(out_path + ".new", out_path)


def sri_of(path, algorithm):
    digest = hashlib.new(algorithm)
    with open(path, "rb") as source:
        for block in iter(lambda: source.read(CHUNK), b""):
            digest.update(block)
    return f"{algorithm}-{base64.b64encode(digest.digest()).decode()}"


def cmd_claude(tgz, out_path, lock, key, integrity):
    algorithm = integrity.partition("-")[0]
    if algorithm != "sha512":
        sys.exit(f"{lock}: {key}: wants a value that starts with sha512-, has '{integrity}'; "
                 "fix: take it from `npm view PACKAGE@VERSION dist.integrity`")
    found = sri_of(tgz, algorithm)
    if found != integrity:
        sys.exit(f"{lock}: {key}: the fetched package {os.path.basename(tgz)} is not the pinned "
                 f"one (it is {found}); fix: delete {tgz} and build again, and if claude.version "
                 f"was changed on purpose set {key} to what "
                 "`npm view PACKAGE@VERSION dist.integrity` prints")
    notes = {}
    with tarfile.open(tgz, "r|gz") as package:
        for member in package:
            if member.name == "package/claude" and member.isreg():
                source = HashingReader(package.extractfile(member))
                write_binary_layer(out_path, "claude", source, member.size)
                notes["sha256"] = source.sha256.hexdigest()
            elif member.name == "package/LICENSE.md" and member.isreg():
                notes["license"] = package.extractfile(member).read(65536).decode().strip()
    if "sha256" not in notes:
        sys.exit(f"{lock}: {key}: the package has no file package/claude; "
                 "fix: pin a version whose platform package ships the native binary")
    with open(out_path + ".json", "w") as out:
        json.dump(notes, out, sort_keys=True)


def cmd_runner(binary, out_path):
    with open(binary, "rb") as source:
        data = source.read()
    if data[:4] != b"\x7fELF":
        sys.exit(f"{binary}: not an ELF binary; fix: make the runner first, then `make image`")
    write_binary_layer(out_path, "runner", io.BytesIO(data), len(data))


def digest_of(layer):
    with open(layer + ".sha256") as digest:
        return digest.read().split()[0]


def cmd_config(out_path, arch, *layers):
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))
    config = {
        "architecture": arch,
        "os": "linux",
        "created": created,
        "config": {"Entrypoint": ["/usr/local/bin/runner"], "Env": ENV},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest_of(x) for x in layers]},
        "history": [
            {"created": created, "created_by": "chela image: " + os.path.basename(x).split("-")[0]}
            for x in layers
        ],
    }
    data = json.dumps(config, sort_keys=True, separators=(",", ":")).encode()
    with open(out_path, "wb") as out:
        out.write(data)
    print("sha256:" + hashlib.sha256(data).hexdigest())


def cmd_archive(config_path, tag, omit, *layers):
    with open(config_path, "rb") as source:
        config = source.read()
    name = hashlib.sha256(config).hexdigest() + ".json"
    names = [digest_of(x) + ".tar" for x in layers]
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": names}]).encode()
    # GNU format: sizes beyond 8 GiB are not expected, but must not be an error either.
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.GNU_FORMAT,
                      bufsize=CHUNK) as tar:
        tar.addfile(entry("manifest.json", tarfile.REGTYPE, 0o644, len(manifest)),
                    io.BytesIO(manifest))
        tar.addfile(entry(name, tarfile.REGTYPE, 0o644, len(config)), io.BytesIO(config))
        for path, inner in list(zip(layers, names))[int(omit):]:
            with open(path, "rb") as source:
                size = os.fstat(source.fileno()).st_size
                tar.addfile(entry(inner, tarfile.REGTYPE, 0o644, size), source)


COMMANDS = {"claude": cmd_claude, "runner": cmd_runner, "config": cmd_config,
            "archive": cmd_archive}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
