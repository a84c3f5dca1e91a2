# SPDX-License-Identifier: Apache-2.0
"""A WebSocket server by hand: strict about what the client sends, wrong on demand. A helper of runtime_ws.c.

Usage: runtime_ws_peer.py [CERTIFICATE KEY]

Prints its port, then one line for each thing that the test asks about (a close frame it got, a rule
that the client broke). The path of the request says what it does. Ends when its standard input ends.
"""
import asyncio
import base64
import hashlib
import ssl
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def say(*words):
    print(*words, flush=True)


def frame(opcode, data=b"", fin=True, rsv=0):
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    if len(data) < 126:
        head += bytes([len(data)])
    elif len(data) < 65536:
        head += b"\x7e" + len(data).to_bytes(2, "big")
    else:
        head += b"\x7f" + len(data).to_bytes(8, "big")
    return head + data


async def read_frame(reader):
    """(opcode, data) of the client's next frame; complains about each rule that it breaks."""
    first, second = await reader.readexactly(2)
    if first & 0x70 or not first & 0x80 or not second & 0x80:
        say("bad frame", hex(first), hex(second))
    n = second & 0x7f
    if n == 126:
        n = int.from_bytes(await reader.readexactly(2), "big")
    elif n == 127:
        n = int.from_bytes(await reader.readexactly(8), "big")
    mask = await reader.readexactly(4)
    data = bytearray(await reader.readexactly(n))
    whole = (mask * (n // 4 + 1))[:n]
    data = (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(n, "big")
    return first & 0x0f, data


async def serve_frames(reader, writer, pongs=True, delay=None):
    """Echoes until the client closes."""
    while True:
        if delay:
            await delay
        opcode, data = await read_frame(reader)
        if opcode == 1:
            data.decode("utf-8")
            writer.write(frame(1, data))
        elif opcode == 9 and pongs:
            writer.write(frame(10, data))
        elif opcode == 8:
            say("close", int.from_bytes(data[:2], "big"))
            writer.write(frame(8, data[:2]))
            await writer.drain()
            return
        elif opcode not in (9, 10):
            say("bad opcode", opcode)
        await writer.drain()


async def ping_only(writer):
    while True:
        writer.write(frame(9, b"hi"))
        await writer.drain()
        await asyncio.sleep(0.05)


async def act(path, head, reader, writer):
    name, _, argument = path.lstrip("/").partition("?")
    if name == "echo":
        await serve_frames(reader, writer)
    elif name == "head":
        writer.write(frame(1, head))
        await serve_frames(reader, writer)
    elif name == "torn":
        writer.write(frame(1, b"x" * 1000)[:500])
    elif name == "silent":  # the connection stands, nothing is ever sent
        await asyncio.sleep(3600)
    elif name == "deaf":  # reads, but never says anything
        await serve_frames(reader, writer, pongs=False)
    elif name == "pings":
        task = asyncio.ensure_future(ping_only(writer))
        try:
            await serve_frames(reader, writer, pongs=False)
        finally:
            task.cancel()
    elif name == "binary":
        writer.write(frame(2, b"\x00\x01"))
        await serve_frames(reader, writer)
    elif name == "big":
        writer.write(frame(1, b"b" * int(argument)))
        await serve_frames(reader, writer)
    elif name == "endless":  # fragments that never end
        writer.write(frame(1, b"f" * 1000, fin=False))
        while True:
            writer.write(frame(0, b"f" * 1000, fin=False))
            await writer.drain()
    elif name == "fragments":
        writer.write(frame(1, "grü".encode()[:3], fin=False) + frame(9, b"in between")
                     + frame(0, "grü".encode()[3:] + b"n", fin=False) + frame(0, b"!"))
        await serve_frames(reader, writer)
    elif name == "together":  # the answer to the upgrade and messages in one packet
        await serve_frames(reader, writer)
    elif name == "utf8":
        writer.write(frame(1, b"\xff\xfe"))
        await serve_frames(reader, writer)
    elif name == "rsv":
        writer.write(frame(1, b"compressed?", rsv=0x40))
        await serve_frames(reader, writer)
    elif name == "close":
        writer.write(frame(8, int(argument).to_bytes(2, "big") if argument else b""))
        opcode, data = await read_frame(reader)
        say("answer", opcode, int.from_bytes(data[:2], "big"))
    elif name == "noanswer":  # to a close frame
        opcode, data = await read_frame(reader)
        say("got", opcode, int.from_bytes(data[:2], "big"))
        await asyncio.sleep(3600)
    elif name == "slow":
        await asyncio.sleep(0.3)
        await serve_frames(reader, writer)


async def serve(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        path = lines[0].split(" ")[1]
        fields = {k.strip().lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:] if x)}
        if path == "/mute":
            await asyncio.sleep(3600)
        if path == "/garbage":
            writer.write(b"\x00\xffSMTP ready\r\n\r\n" * 3)
        elif path.startswith("/status?"):
            code = path.partition("?")[2]
            writer.write(f"HTTP/1.1 {code} No\r\nLocation: ws://127.0.0.1:1/\r\n"
                         "Content-Length: 2\r\n\r\nno".encode())
        else:
            if (fields.get("upgrade", "").lower() != "websocket" or "origin" in fields
                    or fields.get("sec-websocket-version") != "13" or "sec-websocket-extensions" in fields):
                say("bad request", fields)
            digest = hashlib.sha1(fields["sec-websocket-key"].encode() + GUID).digest()
            if path == "/accept":
                digest = b"wrong" * 4
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
                         + (frame(1, b"one") + frame(1, b"two") if path == "/together" else b""))
            await act(path, head, reader, writer)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def main():
    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    say(server.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
