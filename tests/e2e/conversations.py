#!/usr/bin/python3
"""Holds what `tapir flows` says of a capture against what tshark says.

usage: conversations.py agree CAPTURE <JSON
       conversations.py lines TEXT <JSON
       conversations.py other-link FILE

agree: every conversation of TCP and UDP that either of them knows, with its
frames each way, bytes of payload, retransmissions and duration. lines: the text
says what the JSON says. other-link: makes a capture of raw IP packets.

Exits 1, with the reason on stderr, when something is wrong. UDP in fragments is
counted by tshark as one frame; captures for this have none.
"""

import json
import re
import struct
import subprocess
import sys

CONVERSATION = re.compile(
    r"(\S+):(\d+) +<-> +(\S+):(\d+) +(\d+) \S+ \S+ +(\d+) \S+ \S+ +\d+ \S+ \S+"
    r" +\S+ +(\S+)$")


def tshark(path, *words):
    return subprocess.run(["tshark", "-n", "-r", path, *words], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          encoding="ascii").stdout.splitlines()


def conversations(path, protocol):
    """{(protocol, end, other end): frames each way, seconds}"""
    found = {}
    for line in tshark(path, "-q", "-z", f"conv,{protocol}"):
        if match := CONVERSATION.match(line):
            a, aport, b, bport, back, there, span = match.groups()
            ends = (protocol, (a, int(aport)), (b, int(bport)))
            if ends in found:
                sys.exit(f"{ends} twice: this test cannot tell them apart")
            found[ends] = (int(there), int(back), float(span))
    return found


class Bytes:
    """Of one direction, by their places in it."""

    def __init__(self):
        self.pieces, self.again = [], 0

    def take(self, start, length):
        """Merges what touches, which keeps the pieces few."""
        end, rest, known = start + length, [], 0
        for have in self.pieces:
            known += max(0, min(have[1], end) - max(have[0], start))
        self.again += known > 0
        for have in self.pieces:
            if have[1] < start or have[0] > end:
                rest.append(have)
            else:
                start, end = min(start, have[0]), max(end, have[1])
        self.pieces = rest + [(start, end)]

    def count(self):
        return sum(end - start for start, end in self.pieces)


def tcp_payloads(path):
    """{(source, destination): Bytes}"""
    ways, fields = {}, ["tcp.seq", "tcp.len", "tcp.flags", "ip.src", "ip.dst",
                        "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport"]
    words = [word for field in fields for word in ("-e", field)]
    for line in tshark(path, "-Y", "tcp && !icmp && !icmpv6 && "
                       "!tcp.analysis.keep_alive", "-T", "fields", *words):
        seq, length, flags, s4, d4, s6, d6, sport, dport = line.split("\t")
        way = ways.setdefault(((s4 or s6, int(sport)), (d4 or d6, int(dport))),
                              Bytes())
        flags, start = int(flags, 16), int(seq)
        # SYN and FIN have a place, too; here SYN's is before all others
        if flags & 2:
            way.take(start - 1, 1)
        elif int(length) + (flags & 1) and not flags & 4:
            way.take(start, int(length) + (flags & 1))
    return ways


def udp_payloads(path):
    """{(source, destination): bytes}"""
    ways, fields = {}, ["udp.length", "ip.src", "ip.dst", "ipv6.src",
                        "ipv6.dst", "udp.srcport", "udp.dstport"]
    words = [word for field in fields for word in ("-e", field)]
    for line in tshark(path, "-Y", "udp && !icmp && !icmpv6", "-T", "fields",
                       *words):
        length, s4, d4, s6, d6, sport, dport = line.split("\t")
        ends = ((s4 or s6, int(sport)), (d4 or d6, int(dport)))
        ways[ends] = ways.get(ends, 0) + int(length) - 8
    return ways


def expect(where, what, want):
    if what != want:
        sys.exit(f"{where}: {what}, but tshark: {want}")


def check_tcp(talk, there, back):
    """SYN and FIN are no bytes of payload."""
    for end, way in ((talk["from"], there), (talk["to"], back)):
        extra = way.count() - end["bytes"] if way else 0
        if not 0 <= extra <= 2:
            sys.exit(f"{talk}: {way.count()} bytes by tshark")
        expect(talk, end["retransmits"], way.again if way else 0)


def do_agree(path):
    talks = json.load(sys.stdin)["conversations"]
    wanted = conversations(path, "tcp") | conversations(path, "udp")
    tcp, udp = tcp_payloads(path), udp_payloads(path)
    for talk in talks:
        if talk["protocol"] == "ping":
            continue
        a, b = ((talk[end]["address"], talk[end]["port"])
                for end in ("from", "to"))
        frames = (talk["from"]["frames"], talk["to"]["frames"])
        want = wanted.pop((talk["protocol"], a, b), None)
        if not want:
            want = wanted.pop((talk["protocol"], b, a), None)
            want = want and (want[1], want[0], want[2])
        if not want:
            sys.exit(f"tshark does not know {talk}")
        expect(talk, frames, want[:2])
        # An ICMP error belongs to a conversation here, there it does not
        if not talk["unreachable"] and abs(talk["duration"] - want[2]) > 1e-4:
            sys.exit(f"{talk}: {want[2]} s by tshark")
        if talk["protocol"] == "tcp":
            check_tcp(talk, tcp.get((a, b)), tcp.get((b, a)))
        else:
            expect(talk, (talk["from"]["bytes"], talk["to"]["bytes"]),
                   (udp.get((a, b), 0), udp.get((b, a), 0)))
    if wanted:
        sys.exit(f"only tshark knows {wanted}")


def number(cell):
    """(least, end) of what 12.3k may stand for."""
    unit = {"k": 10**3, "M": 10**6, "G": 10**9}.get(cell[-1], 1)
    digits = cell.rstrip("kMG")
    step = unit // 10 if "." in digits else unit
    least = round(float(digits) * unit)
    return range(least, least + step)


def do_lines(path):
    talks = json.load(sys.stdin)["conversations"]
    with open(path, encoding="ascii") as file:
        lines = file.read().splitlines()
    if too_long := [line for line in lines if len(line) > 80]:
        sys.exit(f"too long: {too_long}")
    if not lines[-1].startswith(f"{len(talks)} conversation"):
        sys.exit(f"{len(talks)} conversations, not {lines[-1]}")
    expect("headline", lines[0].split(), "PROT FROM TO SENT RECV TIME RTX RST "
           "END".split())
    total = [talk["from"]["bytes"] + talk["to"]["bytes"] for talk in talks]
    expect("order", total, sorted(total, reverse=True))
    for talk, line in zip(talks, lines[1:-1], strict=True):
        cells = line.split()
        expect(line, (cells[0], cells[-1]), (talk["protocol"], talk["end"]))
        for cell, end in zip(cells[1:3], (talk["from"], talk["to"])):
            name, port = end.get("name", end["address"]), end.get("port", "")
            full = f"[{name}]:{port}" if ":" in name and port else (
                f"{name}:{port}" if port else name)
            head, cut, tail = cell.partition("..")
            if not (full.startswith(head) and full.endswith(tail) if cut
                    else full == cell):
                sys.exit(f"{line}: {cell} is not {full}")
        for cell, end in zip(cells[3:5], (talk["from"], talk["to"])):
            if end["bytes"] not in number(cell):
                sys.exit(f"{line}: {cell} is not {end['bytes']}")
        for cell, what in zip(cells[6:8], ("retransmits", "resets")):
            expect(line, int(cell), talk["from"][what] + talk["to"][what])


def do_other_link(path):
    with open(path, "wb") as file:
        file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))


def main():
    test, *args = sys.argv[1:]
    globals()["do_" + test.replace("-", "_")](*args)


if __name__ == "__main__":
    main()
