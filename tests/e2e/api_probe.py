#!/usr/bin/python3
"""Clients of the API socket, good ones and bad ones.

usage: api_probe.py TEST SOCKET [ARGS]

Exits 1, with the reason on stderr, when an answer is wrong.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time

import published

GOOD = {"proto": "tcp", "host_port": 21000, "guest_port": 80}


def expect(what, want):
    if what != want:
        sys.exit(f"got {what!r}, expected {want!r}")


def error_of(path, text):
    answer = json.loads(published.api_text(path, text))
    if list(answer) != ["error"] or list(answer["error"]) != ["desc"]:
        sys.exit(f"{text[:80]!r}: {answer}")
    return answer["error"]["desc"]


def refused(path, text, want):
    got = error_of(path, text)
    if not got.startswith(want):
        sys.exit(f"{text[:80]!r}: got '{got}', expected '{want}'")


def bad_add(path, field, **change):
    """A request that is good but for @change is refused for its @field."""
    arguments = {**GOOD, **change}
    arguments = {k: v for k, v in arguments.items() if v is not None}
    text = json.dumps({"execute": "add_hostfwd", "arguments": arguments})
    refused(path, text.encode(),
            f"bad request: add_hostfwd: bad arguments.{field}")


# ---- the contract -------------------------------------------------------------


def do_ids(path):
    """From 1, increasing, never used again; lists are in that order."""
    for n in (1, 2, 3):
        answer = published.api(path, "add_hostfwd", proto="tcp",
                               host_port=21000 + n, guest_port=80)
        expect(answer["return"]["id"], n)
    published.remove(path, 3)
    published.remove(path, 1)
    expect(published.add(path, "udp", 21001, 80)["id"], 4)
    entries = published.api(path, "list_hostfwd")["entries"]
    expect([e["id"] for e in entries], [2, 4])
    expect([e["proto"] for e in entries], ["tcp", "udp"])
    expect([e["host_port"] for e in entries], [21002, 21001])
    for rule in (2, 4):
        published.remove(path, rule)
    expect(published.api(path, "list_hostfwd")["entries"], [])


def do_list(path, *also):
    """All fields, the defaults filled in; @also: under "return" too."""
    published.add(path, "tcp", 21001, 80)
    published.add(path, "udp", 21002, 81, host_addr="", guest_addr="")
    published.add(path, "tcp", 21003, 82, host_addr="127.0.0.1",
                  guest_addr="10.0.2.77")
    answer = published.api(path, "list_hostfwd")
    fields = ("id", "proto", "host_addr", "host_port", "guest_addr",
              "guest_port")
    want = [(1, "tcp", "0.0.0.0", 21001, "10.0.2.100", 80),
            (2, "udp", "0.0.0.0", 21002, "10.0.2.100", 81),
            (3, "tcp", "127.0.0.1", 21003, "10.0.2.77", 82)]
    shapes = [answer["entries"]]
    if also:
        shapes.append(answer["return"]["entries"])
    for entries in shapes:
        expect([tuple(e[f] for f in fields) for e in entries], want)


def do_errors(path, strict=""):
    """The contract's words, in the contract's order of looking."""
    long_text = json.dumps({"execute": "list_hostfwd", "x": "x" * 4100})
    for text, want in (
            (b"{", "cannot parse JSON"),
            (b"rubbish", "cannot parse JSON"),
            (b"[]", "json_object() failed"),
            (b"{}", "no execute found"),
            (b"{\"execute\":\"x\"}", "unknown execute"),
            (b"{\"execute\":\"LIST_HOSTFWD\"}", "unknown execute"),
            (long_text.encode(), "too large message")):
        refused(path, text, "bad request: " + want)
    bad_add(path, "proto", proto="sctp")
    bad_add(path, "host_addr", host_addr="rubbish")
    bad_add(path, "host_addr", host_addr="127.0.0.256")
    bad_add(path, "host_port", host_port=None)
    bad_add(path, "guest_addr", guest_addr="rubbish")
    bad_add(path, "guest_port", guest_port=None)
    bad_add(path, "guest_port", guest_port=0)
    # The first of several
    bad_add(path, "proto", proto="x", host_addr="x", host_port=None)
    bad_add(path, "host_addr", host_addr="x", host_port=None, guest_addr="x")
    bad_add(path, "host_port", host_port=None, guest_addr="x")
    bad_add(path, "guest_addr", guest_addr="x", guest_port=0)
    refused(path, b'{"execute":"remove_hostfwd","arguments":{"id":77}}',
            "bad request: remove_hostfwd: bad arguments.id")
    refused(path, b'{"execute":"remove_hostfwd","arguments":{"id":"x"}}',
            "bad request: remove_hostfwd: bad arguments.id")
    if strict:
        strict_errors(path)
    expect(published.api(path, "list_hostfwd")["entries"], [])


def strict_errors(path):
    """What slirp4netns takes, or dies of."""
    for text, want in (
            (b"", "cannot parse JSON"),
            (b"\0", "cannot parse JSON"),
            (b'{"execute":"list_hostfwd"', "cannot parse JSON"),
            (b'"list_hostfwd"', ""),
            (b'{"execute":7}', "no execute found"),
            (b"[" * 4095, "cannot parse JSON"),
            (b'{"execute":"add_hostfwd"}',
             "add_hostfwd: bad arguments.proto"),
            (b'{"execute":"remove_hostfwd"}',
             "remove_hostfwd: bad arguments.id")):
        refused(path, text, "bad request: " + want)
    bad_add(path, "proto", proto=None)
    bad_add(path, "proto", proto=6)
    bad_add(path, "host_port", host_port=65536)
    bad_add(path, "host_port", host_port=-1)
    bad_add(path, "host_port", host_port=80.5)
    bad_add(path, "host_port", host_port="80")
    bad_add(path, "guest_port", guest_port=65536)
    bad_add(path, "guest_port", guest_port=True)
    bad_add(path, "host_addr", host_addr="::g")
    bad_add(path, "host_addr", proto="tcp4", host_addr="::1")
    bad_add(path, "host_addr", proto="tcp6", host_addr="127.0.0.1")
    bad_add(path, "host_port_end", host_port_end=20999)
    bad_add(path, "host_port_end", host_port_end=65536)
    bad_add(path, "follow", follow="yes")


def do_in_use(path, detail=""):
    """A port that is taken is refused; of the other protocol it is not."""
    published.add(path, "tcp", 21000, 80)
    refused(path, json.dumps({"execute": "add_hostfwd",
                              "arguments": GOOD}).encode(),
            "bad request: add_hostfwd: slirp_add_hostfwd failed" + detail)
    published.add(path, "udp", 21000, 80)
    expect(len(published.api(path, "list_hostfwd")["entries"]), 2)


def do_tolerant(path):
    """Unknown members and white space do not matter."""
    text = (b' \n {"x":[1,{"y":null}],"execute":"add_hostfwd","arguments":'
            b'{"proto":"tcp","host_port":21000,"guest_port":80,"z":"z"}} \r\n\t')
    expect(json.loads(published.api_text(path, text))["return"]["id"], 1)


def do_one_write(path):
    """The answer is one JSON text, short, without a newline, and comes in one
    piece, as Podman reads it."""
    sock = published.api_connect(path)
    sock.sendall(json.dumps({"execute": "add_hostfwd",
                             "arguments": GOOD}).encode() + b"\n")
    sock.shutdown(socket.SHUT_WR)
    select.select([sock], [], [], 10)
    answer = sock.recv(2048)
    expect(json.loads(answer)["return"]["id"], 1)
    expect(answer.strip(), answer)
    expect(published.rest_of(sock), b"")


def do_no_half_close(path):
    """Answered, and ended, though the client does not end its request."""
    answer = published.api_text(path, b'{"execute":"list_hostfwd"}\n', False)
    expect(json.loads(answer)["entries"], [])


# ---- clients that misbehave ---------------------------------------------------


def do_bytewise(path):
    """A byte at a time, at leisure."""
    sock = published.api_connect(path)
    for byte in json.dumps({"execute": "add_hostfwd",
                            "arguments": GOOD}).encode():
        sock.send(bytes([byte]))
        time.sleep(0.005)
    expect(json.loads(published.rest_of(sock))["return"]["id"], 1)


def do_flood(path, count):
    """@count bytes: too large, said to who listens while writing."""
    sock = published.api_connect(path)
    sock.setblocking(False)
    left, answer = int(count), b""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        ready, room, _ = select.select([sock], [sock] if left else [], [], 5)
        try:
            if room:
                left -= sock.send(b"[" + b" " * min(left - 1, 65535))
        except (BrokenPipeError, ConnectionResetError):
            left = 0
        try:
            data = sock.recv(4096) if ready else None
        except ConnectionResetError:
            break
        if data == b"":
            break
        answer += data or b""
    expect(json.loads(answer)["error"]["desc"],
           "bad request: too large message")


def do_vanish(path, count):
    """Clients that are gone before, within and right after the request."""
    request = b'{"execute":"list_hostfwd"}'
    for n in range(int(count)):
        sock = published.api_connect(path)
        sock.send(request[:n % (len(request) + 1)] or b" ")
        if n % 3 == 0:
            sock.shutdown(socket.SHUT_RD)
        sock.close()
    expect(published.api(path, "list_hostfwd")["entries"], [])


def do_silent(path, count, seconds):
    """@count clients that say nothing, or half of something, or do not read
    the answer, stay for @seconds; one that does it right is answered."""
    socks = []
    for n in range(int(count)):
        sock = published.api_connect(path)
        if n % 4 == 1:
            sock.send(b'{"execute":"li')
        if n % 4 == 2:
            sock.send(b'{"execute":"list_hostfwd"}')
        socks.append(sock)
    print("silent", flush=True)
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        start = time.monotonic()
        expect(published.api(path, "list_hostfwd")["entries"], [])
        if time.monotonic() - start > 1:
            sys.exit("the good client waited")
        time.sleep(0.2)
    for sock in socks:
        sock.close()


# ---- what tapir has besides ---------------------------------------------------


def do_more_protos(path):
    """tcp4 and so on: what is bound is told, and is what listens."""
    for port, proto, addresses in (
            (21001, "tcp", ["0.0.0.0", "::"]), (21002, "tcp4", ["0.0.0.0"]),
            (21003, "tcp6", ["::"]), (21004, "udp", ["0.0.0.0", "::"]),
            (21005, "udp4", ["0.0.0.0"]), (21006, "udp6", ["::"])):
        answer = published.add(path, proto, port, 80)
        expect(sorted(answer["host_addrs"]), addresses)
        expect(answer["host_port"], port)
        expect(sockets(proto[:3], port), addresses)
    entries = published.api(path, "list_hostfwd")["return"]["entries"]
    expect([sorted(e["host_addrs"]) for e in entries],
           [["0.0.0.0", "::"], ["0.0.0.0"], ["::"]] * 2)
    expect([e["proto"] for e in entries],
           ["tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"])


def do_any(path, *addresses):
    """No host address, an empty one and 0.0.0.0 mean @addresses."""
    for n, more in enumerate(({}, {"host_addr": ""},
                              {"host_addr": "0.0.0.0"})):
        for proto in ("tcp", "udp"):
            answer = published.add(path, proto, 21000 + n, 80, **more)
            expect(sorted(answer["host_addrs"]), sorted(addresses))
            expect(sockets(proto, 21000 + n), sorted(addresses))


def do_addresses(path):
    """Literals of both families, an interface, and what is none."""
    for port, address, bound in (
            (21001, "::1", ["::1"]), (21002, "127.0.0.1", ["127.0.0.1"]),
            (21003, "::", ["::"]), (21004, "192.0.2.2", ["192.0.2.2"])):
        answer = published.add(path, "tcp", port, 80, host_addr=address)
        expect(answer["host_addrs"], bound)
        expect(sockets("tcp", port), bound)
    published.add(path, "tcp", 21005, 80, host_addr="up0")
    bound = sockets("tcp", 21005)
    if not {"192.0.2.2", "2001:db8:1::2"} <= set(bound) or "::1" in bound:
        sys.exit(f"up0 is {bound}")
    answer = published.api(path, "add_hostfwd", proto="tcp", host_port=21006,
                           guest_port=80, host_addr="192.0.2.99")
    if "192.0.2.99" not in answer["error"]["desc"]:
        sys.exit(f"does not name the address: {answer}")
    expect(sockets("tcp", 21006), [])


def do_pick(path):
    """Port 0: one that is free, in both families the same."""
    for proto in ("tcp", "udp", "tcp6"):
        port = published.add(path, proto, 0, 80)["host_port"]
        if not 1024 <= port <= 65535:
            sys.exit(f"picked {port}")
        expect(sockets(proto[:3], port),
               ["::"] if proto == "tcp6" else ["0.0.0.0", "::"])


def do_range(path):
    """All of a range or nothing of it."""
    answer = published.add(path, "tcp", 21000, 80, host_port_end=21009)
    expect(answer["host_port_end"], 21009)
    for port in range(21000, 21010):
        expect(sockets("tcp", port), ["0.0.0.0", "::"])
    reply = published.api(path, "add_hostfwd", proto="tcp", host_port=20990,
                          host_port_end=21000, guest_port=80)
    expect(reply["error"]["desc"], "bad request: add_hostfwd: "
           "slirp_add_hostfwd failed: address in use: 0.0.0.0:21000 (tcp)")
    expect(sockets("tcp", 20990), [])
    published.remove(path, answer["id"])
    expect(sockets("tcp", 21005), [])


def sockets(proto, port):
    """The addresses that @port is bound to on the host."""
    letter = "t" if proto == "tcp" else "u"
    lines = subprocess.run(["ss", f"-Han{letter}l", f"sport = {port}"],
                           capture_output=True, check=True,
                           encoding="ascii").stdout.splitlines()
    found = set()
    for line in lines:
        address = line.split()[3].rpartition(":")[0]
        found.add(address.strip("[]").partition("%")[0])
    return sorted(found)


def main():
    test, path, *args = sys.argv[1:]
    os.environ["LC_ALL"] = "C"
    globals()["do_" + test.replace("-", "_")](path, *args)


if __name__ == "__main__":
    main()
