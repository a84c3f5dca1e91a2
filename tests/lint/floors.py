# SPDX-License-Identifier: Apache-2.0
"""The floors of the source tree: includes point only down.

Called by lint.py; alone it prints what it finds. A floor-4 folder (channels, gateway, mcp,
demo, warden, door) may include its own headers and those of lower floors, never its siblings'.
"""
import pathlib
import re
import sys

FLOOR = {"base": 0, "runtime": 1, "store": 2, "policy": 3, "channels": 4, "gateway": 4,
         "mcp": 4, "demo": 4, "warden": 4, "door": 4, "router": 5, "admin": 6, "main": 7}
# Private to one folder or file: libraries that everything else reaches through a wrapper.
LIBRARY = {
    "uv.h": {"runtime"},
    "libwebsockets.h": {"runtime"},
    "openssl/ssl.h": {"runtime"},
    "openssl/evp.h": {"runtime"},
    "md4c.h": {"router"},
    "curl/curl.h": {"runtime"},
    "sqlite3.h": {"store"},
    "nghttp2/nghttp2.h": {"door"},
    "yaml.h": {"base"},
    "http_parser.h": {"runtime"},
    "histedit.h": {"admin"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)


def folder(path):
    """The floor's name for a source file, or None outside the floors."""
    parts = path.parts
    if parts[0] == "channels":
        return "channels"
    if parts[0] == "src" and len(parts) == 2:
        return "main"
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def check(files):
    """Yields one line a wrong include. `files` are paths from the top of the tree."""
    for path in files:
        own = folder(path)
        if path.suffix not in (".c", ".h") or own is None:
            continue
        if own not in FLOOR:
            yield f"{path}: src/{own} is no floor"
            continue
        text = path.read_text("utf-8")
        for kind, name in INCLUDE.findall(text):
            other = name.split("/")[0]
            if kind == '"':
                if "/" not in name and own == "main" and path.with_name(name).is_file():
                    continue
                if "/" not in name:
                    yield f'{path}: include "{name}" without its folder'
                elif other not in FLOOR:
                    yield f'{path}: include "{name}" is on no floor'
                elif other != own and FLOOR[other] >= FLOOR[own]:
                    yield f'{path}: include "{name}" points up or sideways from {own}'
            elif name in LIBRARY and own not in LIBRARY[name]:
                yield f"{path}: <{name}> belongs to {', '.join(sorted(LIBRARY[name]))} only"


if __name__ == "__main__":
    found = list(check(sorted(p for d in ("src", "channels") for p in pathlib.Path(d).rglob("*"))))
    print("\n".join(found))
    sys.exit(1 if found else 0)
