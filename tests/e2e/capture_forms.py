#!/usr/bin/python3
"""Writes captures in other forms than tcpdump's, and hostile ones.

usage: capture_forms.py FORM IN OUT

IN is a classic capture in this machine's byte order. What each FORM is stands
at its function.
"""

import struct
import sys

MICRO, NANO = 0xa1b2c3d4, 0xa1b23c4d
ETHERNET, RAW_IP = 1, 101


def read(path):
    """Frames as (ns, bytes)."""
    with open(path, "rb") as file:
        data = file.read()
    magic = struct.unpack("=I", data[:4])[0]
    unit = {MICRO: 1000, NANO: 1}[magic]
    at, frames = 24, []
    while at < len(data):
        sec, part, have, _ = struct.unpack("=IIII", data[at:at + 16])
        frames.append((sec * 10**9 + part * unit, data[at + 16:at + 16 + have]))
        at += 16 + have
    return frames


def write(path, frames, order="=", magic=NANO, link=ETHERNET):
    unit = 1000 if magic == MICRO else 1
    with open(path, "wb") as file:
        file.write(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144,
                               link))
        for when, frame in frames:
            file.write(struct.pack(order + "IIII", when // 10**9,
                                   when % 10**9 // unit, len(frame),
                                   len(frame)) + frame)


def do_micro(frames, path):
    """Microseconds."""
    write(path, frames, magic=MICRO)


def do_round(frames, path):
    """Nanoseconds that are whole microseconds."""
    write(path, [(when // 1000 * 1000, frame) for when, frame in frames])


def do_big(frames, path):
    """The other byte order than most machines'."""
    write(path, frames, order=">")


def do_micro_big(frames, path):
    write(path, frames, order=">", magic=MICRO)


def do_little(frames, path):
    write(path, frames, order="<")


def do_raw_ip(frames, path):
    """Without Ethernet headers."""
    write(path, [(when, frame[14:]) for when, frame in frames], link=RAW_IP)


def do_cut(frames, path):
    """In the midst of the last record."""
    write(path, frames)
    with open(path, "r+b") as file:
        file.truncate(file.seek(0, 2) - 5)


def do_cut_header(frames, path):
    write(path, [])
    with open(path, "r+b") as file:
        file.truncate(20)


def do_empty(frames, path):
    write(path, [])


def do_huge(frames, path):
    """Among the others, frames of 256 KiB and of no length."""
    mixed = []
    for when, frame in frames:
        mixed += [(when, frame[:12] + bytes(262144 - 12)), (when, b""),
                  (when, frame[:13]), (when, frame)]
    write(path, mixed)


def do_backwards(frames, path):
    """The clock steps back by an hour, halfway."""
    half = len(frames) // 2
    write(path, frames[:half] + [(when - 3600 * 10**9, frame)
                                 for when, frame in frames[half:]])


def do_jumping(frames, path):
    """Each third frame has another day's time, and one has none."""
    write(path, [(0 if n == 7 else when + (n % 3 - 1) * 86400 * 10**9, frame)
                 for n, (when, frame) in enumerate(frames)])


def do_changed(frames, path):
    """One byte of the payload of the longest frame; prints its number."""
    at = max(range(len(frames)), key=lambda n: len(frames[n][1]))
    when, frame = frames[at]
    frames[at] = when, frame[:-1] + bytes([frame[-1] ^ 1])
    write(path, frames)
    print(at + 1)


def do_changed_fields(frames, path):
    """Of the first IPv4 frame the time, by 5 ns, and the TTL, to 77; prints its
    number."""
    at = next(n for n, frame in enumerate(frames)
              if frame[1][12:14] == b"\x08\x00")
    when, frame = frames[at]
    frames[at] = when + 5, frame[:22] + bytes([77]) + frame[23:]
    write(path, frames)
    print(at + 1)


def do_container(frames, path):
    """Only what the first sender sent."""
    write(path, [f for f in frames if f[1][6:12] == frames[0][1][6:12]])


def do_many(frames, path):
    """The first 100,000."""
    if len(frames) < 100000:
        sys.exit(f"only {len(frames)} frames")
    write(path, frames[:100000])


def main():
    form, source, target = sys.argv[1:]
    globals()["do_" + form.replace("-", "_")](read(source), target)


if __name__ == "__main__":
    main()
