# SPDX-License-Identifier: Apache-2.0
"""Takes TLS off: accepts on a loopback port and passes the plain bytes to another.

Usage: runtime_tls_server.py CERTIFICATE KEY PORT

Prints its own port, then one line a connection: "new" or "resumed". A connection whose handshake
fails is not passed on. Ends when its standard input ends. A helper of runtime_tls.c.
"""
import asyncio
import ssl
import sys


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (ConnectionError, ssl.SSLError):
        pass


async def main():
    certificate, key, port = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader, writer):
        tls = writer.get_extra_info("ssl_object")
        print("resumed" if tls.session_reused else "new", flush=True)
        plain_reader, plain_writer = await asyncio.open_connection("127.0.0.1", int(port))
        await asyncio.wait([asyncio.ensure_future(pump(reader, plain_writer)),
                            asyncio.ensure_future(pump(plain_reader, writer))],
                           return_when=asyncio.FIRST_COMPLETED)
        plain_writer.close()
        writer.close()

    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
