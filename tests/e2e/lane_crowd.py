#!/usr/bin/python3
"""Many connections at once, without a thread each.

usage: lane_crowd.py serve PORT       echo, on 127.0.0.1
       lane_crowd.py hold PORT COUNT  that many at a time; each echoes twice
"""

import asyncio
import sys


async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


async def serve(port):
    server = await asyncio.start_server(echo, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


async def talk(stream, text):
    reader, writer = stream
    writer.write(text)
    if await asyncio.wait_for(reader.readexactly(len(text)), 30) != text:
        sys.exit("something else came back")


async def dial(port):
    """The server may not be there yet."""
    for _ in range(100):
        try:
            stream = await asyncio.open_connection("127.0.0.1", port)
            await talk(stream, b"begin")
            return stream
        except (ConnectionError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.1)
    sys.exit("no connection")


async def hold(port, count):
    streams = []
    for _ in range(count):
        streams.append(await dial(port))
    print(len(streams), "connections", flush=True)
    for number, stream in enumerate(streams):
        await talk(stream, b"%d" % number)
    for _, writer in streams:
        writer.close()
    await asyncio.sleep(1)


def main():
    verb, *args = sys.argv[1:]
    asyncio.run({"serve": serve, "hold": hold}[verb](*map(int, args)))


main()
