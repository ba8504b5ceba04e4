#!/usr/bin/python3
"""A resolver for the tests.

usage: dnsd.py ADDRESS A AAAA

Answers any A query with @A and AAAA with @AAAA, over UDP and TCP on port 53 of
@ADDRESS. Prints a line per query, `udp NAME` or `tcp NAME`. A UDP query for a
name that begins with "long." is answered as truncated, over TCP with 200
records.
"""

import socket
import struct
import sys
import threading


def answer(query, proto, addresses):
    end = query.index(b"\0", 12) + 5
    question = query[12:end]
    kind = struct.unpack(">H", question[-4:-2])[0]
    name = []
    at = 0
    while question[at]:
        name.append(question[at + 1:at + 1 + question[at]].decode())
        at += 1 + question[at]
    name = ".".join(name)
    print(proto, name, flush=True)
    data = addresses.get(kind, b"")
    records = 1 if data else 0
    flags = 0x8180
    if name.startswith("long."):
        records = 200 if proto == "tcp" else 0
        flags |= 0 if proto == "tcp" else 0x0200
    record = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
    return (query[:2] + struct.pack(">HHHHH", flags, 1, records, 0, 0)
            + question + record * records)


def serve_udp(sock, addresses):
    while True:
        query, where = sock.recvfrom(4096)
        sock.sendto(answer(query, "udp", addresses), where)


def serve_tcp(sock, addresses):
    with sock:
        query = sock.recv(4096)
        reply = answer(query[2:], "tcp", addresses)
        sock.sendall(struct.pack(">H", len(reply)) + reply)


def main():
    address, a, aaaa = sys.argv[1:]
    addresses = {1: socket.inet_pton(socket.AF_INET, a),
                 28: socket.inet_pton(socket.AF_INET6, aaaa)}
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.bind((address, 53))
    threading.Thread(target=serve_udp, args=(udp, addresses),
                     daemon=True).start()
    tcp = socket.socket(family, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((address, 53))
    tcp.listen(16)
    while True:
        sock, _ = tcp.accept()
        threading.Thread(target=serve_tcp, args=(sock, addresses),
                         daemon=True).start()


if __name__ == "__main__":
    main()
