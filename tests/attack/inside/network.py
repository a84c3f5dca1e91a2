# SPDX-License-Identifier: Apache-2.0
"""Ways out by network: interfaces, routes, sockets of every family, changes by netlink and ioctl,
names. ARGS: host's addresses, a TCP port that a process of the host listens on, the name of an
abstract socket of the host."""
import errno
import fcntl
import pathlib
import socket
import struct

from common import ARGS, GVISOR, Report

addresses, port, abstract = ARGS
r = Report()


def lines(path):
    try:
        return pathlib.Path(path).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []


names = [line.split(":")[0].strip() for line in lines("/proc/net/dev")[2:]]
r.check(f"interfaces: {names}", names == ["lo"])
r.check(f"if_nameindex: {socket.if_nameindex()}", [n for _, n in socket.if_nameindex()] == ["lo"])
r.check(f"routes: {lines('/proc/net/route')}", len([x for x in lines("/proc/net/route") if x]) <= 1)
away = [x for x in lines("/proc/net/ipv6_route") if x.split()[-1] != "lo"]
r.check(f"IPv6 routes: {away}", not away)


def tcp(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        s.connect(address)
        return "connected"


def udp(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.sendto(b"x", address)
        s.recv(1)
        return "answered"


def udp_send(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return s.sendto(b"x", address)


far = ["172.17.0.1", "169.254.169.254", "192.0.2.1", "10.0.0.1", "192.168.0.1", "224.0.0.1",
       "255.255.255.255"]
for a in dict.fromkeys(addresses + far):
    family = socket.AF_INET6 if ":" in a else socket.AF_INET
    for p in (80, port):
        e = r.must_fail(f"TCP to {a}:{p}", tcp, family, (a, p))
        r.check(f"TCP to {a}:{p} was sent somewhere: {e}", not isinstance(e, TimeoutError))
    r.must_fail(f"UDP to {a}", udp_send, family, (a, 53))
for a in ("2001:db8::1", "fd00::1", "ff02::1"):
    r.must_fail(f"TCP to {a}", tcp, socket.AF_INET6, (a, 80))
r.must_fail("a port of the host by loopback", tcp, socket.AF_INET, ("127.0.0.1", port))
r.must_fail("a port of the host by ::1", tcp, socket.AF_INET6, ("::1", port))
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    s = socket.socket(socket.AF_UNIX, kind)
    r.must_fail("an abstract socket of the host", s.connect, "\0" + abstract)
    s.close()
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock",
             "/run/dbus/system_bus_socket", "/run/systemd/private"):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    r.must_fail(path, s.connect, path)
    s.close()

# Families: unix, IPv4 and IPv6 for what stays inside, netlink for getifaddrs; none raw.
allowed = {(1, 1), (1, 2), (1, 5), (2, 1), (2, 2), (10, 1), (10, 2)}
for family in range(48):
    for kind in (1, 2, 3, 4, 5, 6, 10):
        r.tried += 1
        try:
            socket.socket(family, kind, 0).close()
        except OSError:
            continue
        if (family, kind) not in allowed and not (family == 16 and kind in (2, 3)) and \
                not (family == 1 and kind == 3):
            r.hole(f"socket of family {family}, kind {kind}")
for family, proto in ((2, 1), (2, 255), (10, 58)):  # ICMP, raw: none
    r.must_fail(f"raw socket {family} {proto}", socket.socket, family, socket.SOCK_RAW, proto)
r.must_fail("AF_PACKET", socket.socket, 17, socket.SOCK_RAW, socket.htons(3))
for proto in range(1, 23):
    if not GVISOR:
        r.must_fail(f"netlink family {proto}", socket.socket, 16, 3, proto)


def netlink(kind, flags, payload):
    """0 or the errno that the kernel answers."""
    with socket.socket(16, socket.SOCK_RAW, 0) as s:
        s.settimeout(3)
        s.send(struct.pack("=IHHII", 16 + len(payload), kind, flags | 5, 7, 0) + payload)
        answer = s.recv(4096)
    n, got = struct.unpack_from("=IH", answer)
    code = struct.unpack_from("=i", answer, 16)[0] if got == 2 else 0
    if code:
        raise OSError(-code, "netlink")
    return "accepted"


r.must_fail("a dummy interface", netlink, 16, 0x600,
            struct.pack("=BxHiII", 0, 0, 0, 0, 0) + struct.pack("=HH6sxxHHHH5sxxx", 10, 3, b"dummy0",
                                                                16, 18, 9, 1, b"dummy"))
r.must_fail("lo down", netlink, 16, 0, struct.pack("=BxHiII", 0, 0, 1, 0, 1))
r.must_fail("a further address", netlink, 20, 0x600,
            struct.pack("=BBBBI", 2, 24, 0, 0, 1) + struct.pack("=HH4s", 8, 2, b"\x0a\x09\x08\x07"))
r.must_fail("a default route", netlink, 24, 0x600,
            struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0) + struct.pack("=HHi", 8, 4, 1))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    flags = struct.pack("16sH14x", b"lo", 0)
    r.must_fail("SIOCSIFFLAGS", fcntl.ioctl, s, 0x8914, flags)
    address = struct.pack("16sHH4s8x", b"lo", 2, 0, b"\x0a\x01\x02\x03")
    r.must_fail("SIOCSIFADDR", fcntl.ioctl, s, 0x8916, address)

for name in ("example.com", "api.anthropic.com", "host.docker.internal", "metadata"):
    r.must_fail(f"the name {name}", socket.getaddrinfo, name, 443)
query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"


def ask_dns(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5)
        s.connect((server, 53))
        s.send(query)
        return s.recv(512)


for server in ("127.0.0.1", "127.0.0.11", "127.0.0.53", "8.8.8.8"):
    r.must_fail(f"DNS at {server}", ask_dns, server)
text = "".join(lines("/etc/resolv.conf") + lines("/etc/hosts"))
for a in addresses:
    r.check(f"the host's address {a} is told in /etc", a not in text or a in ("127.0.0.1", "::1"))
r.seen["errno_of_unreachable"] = errno.errorcode[errno.ENETUNREACH]
r.end()
