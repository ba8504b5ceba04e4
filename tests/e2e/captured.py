#!/usr/bin/python3
"""Reads captures as tapir writes them, for what tcpdump and tshark do not say.

usage: captured.py TEST FILE [ARGS]

Exits 1, with the reason on stderr, when something is wrong. Knows classic pcap
in nanoseconds and this machine's byte order, and nothing of fragments.
"""

import struct
import sys
import time

import pattern

TCP, FIN, SYN = 6, 1, 2


def records(file):
    """(when in ns, bytes, length on the wire) of each frame."""
    magic, _, _, _, _, _, link = struct.unpack("=IHHiIII", file.read(24))
    if magic != 0xa1b23c4d or link != 1:
        sys.exit(f"magic {magic:#x}, link type {link}")
    while head := file.read(16):
        sec, nsec, have, length = struct.unpack("=IIII", head)
        data = file.read(have)
        if len(data) < have:
            sys.exit("the last record is cut off")
        yield sec * 10**9 + nsec, data, length


def tcp_of(frame):
    """(source, destination, sequence number, flags, payload), or None."""
    if frame[12:14] == b"\x08\x00" and frame[23] == TCP:
        at = 14 + (frame[14] & 15) * 4
        end = 14 + int.from_bytes(frame[16:18], "big")
        source, destination = frame[26:30], frame[30:34]
    elif frame[12:14] == b"\x86\xdd" and frame[20] == TCP:
        at = 54
        end = 54 + int.from_bytes(frame[18:20], "big")
        source, destination = frame[22:38], frame[38:54]
    else:
        return None
    body = at + (frame[at + 12] >> 4) * 4
    if end > len(frame):
        sys.exit("a frame is shorter than its IP header says")
    return (source + frame[at:at + 2], destination + frame[at + 2:at + 4],
            int.from_bytes(frame[at + 4:at + 8], "big"), frame[at + 13],
            frame[body:end])


class Direction:
    """One direction of a connection: its bytes, in order, compared with what
    they should be. What the client asks for by its first line, the pattern
    follows in one direction or in the other."""

    def __init__(self, isn, asked):
        self.isn, self.count, self.ended = isn, 0, False
        self.asked = asked  # the direction with the line; None: this one
        self.line = b""
        self.ahead = {}

    def take(self, seq, payload):
        at = (seq - self.isn - 1) & 0xffffffff
        if not payload or at >= 1 << 31:
            return  # no bytes, or a probe of what was acknowledged long ago
        self.ahead[at] = max(payload, self.ahead.get(at, b""), key=len)
        while starts := [s for s in self.ahead if s <= self.count]:
            for start in starts:
                data = self.ahead.pop(start)[self.count - start:]
                self.compare(data)

    def compare(self, data):
        start = self.count
        self.count += len(data)
        if not self.asked and not self.line.endswith(b"\n"):
            end = data.find(b"\n") + 1 or len(data)
            self.line += data[:end]
            data = data[end:]
            start += end
        offset = start - len(self.line)
        if self.is_pattern() and data != pattern.piece(offset, len(data)):
            sys.exit(f"wrong bytes at {start}")

    def is_pattern(self):
        if self.asked:
            return self.asked.line.startswith(b"send")
        return self.line.startswith(b"receive")


def do_bytes(path, port, *wanted):
    """The connections to @port carried @wanted: 'FAMILY up|down COUNT' each,
    every byte of it, once."""
    port, found, flows = int(port).to_bytes(2, "big"), set(), {}
    with open(path, "rb") as file:
        for _, frame, _ in records(file):
            tcp = tcp_of(frame)
            if not tcp or port not in (tcp[0][-2:], tcp[1][-2:]):
                continue
            source, destination, seq, flags, payload = tcp
            if flags & SYN:
                flows[source + destination] = Direction(
                    seq, flows.get(destination + source)
                    if source[-2:] == port else None)
            flow = flows[source + destination]
            flow.take(seq, payload)
            flow.ended |= bool(flags & FIN)
    for key, flow in flows.items():
        family = "v4" if len(key) == 12 else "v6"
        if not flow.ended or flow.ahead:
            sys.exit(f"{family}: {flow.count} bytes, then something lacks")
        if flow.asked:
            found.add(f"{family} down {flow.count}")
        else:
            found.add(f"{family} up {flow.count - len(flow.line)}")
    if lacking := set(wanted) - found:
        sys.exit(f"lacking {lacking} in {found}")


def do_lengths(path, most):
    """No record is longer than @most; some frame was, on the wire."""
    with open(path, "rb") as file:
        frames = [(len(data), length) for _, data, length in records(file)]
    if max(have for have, _ in frames) > int(most):
        sys.exit("a record is too long")
    if max(length for _, length in frames) <= int(most):
        sys.exit("no frame was cut")
    if any(have != min(length, int(most)) for have, length in frames):
        sys.exit("a record is shorter than it had to be")


def do_longest(path):
    """The longest frame."""
    with open(path, "rb") as file:
        print(max(length for _, _, length in records(file)))


def do_count(path):
    with open(path, "rb") as file:
        print(sum(1 for _ in records(file)))


def do_lag(path):
    """Of a stream that is being written: for each frame, how many milliseconds
    after it was seen it arrived here."""
    with open(path, "rb", buffering=0) as file:
        for when, _, _ in records(Whole(file)):
            print((time.time_ns() - when) // 1000000, flush=True)


class Whole:
    """read() of a pipe that gives all that was asked for, or the end."""

    def __init__(self, file):
        self.file = file

    def read(self, length):
        data = b""
        while len(data) < length and (more := self.file.read(
                length - len(data))):
            data += more
        return data


def main():
    test, *args = sys.argv[1:]
    globals()["do_" + test.replace("-", "_")](*args)


if __name__ == "__main__":
    main()
