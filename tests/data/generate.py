#!/usr/bin/python3
"""Make the captures of the text sources: x.pcap, and x.host if there is a
script, of each x.txt. What the lines mean stands in sketch.py.

usage: generate.py [--check] FILE.txt...

With --check nothing is written; exits 1 if a file is not what its source says.
"""

import os
import struct
import sys

from sketch import Sketch

NANOSECOND_MAGIC = 0xa1b23c4d
SNAPLEN = 262144
ETHERNET = 1


def capture(frames):
    out = [struct.pack("<IHHiIII", NANOSECOND_MAGIC, 2, 4, 0, 0, SNAPLEN,
                       ETHERNET)]
    for when, frame in frames:
        out.append(struct.pack("<IIII", when // 10**9, when % 10**9,
                               len(frame), len(frame)) + frame)
    return b"".join(out)


def made_of(source):
    """What belongs beside @source: path -> bytes, None: no such file."""
    sketch = Sketch(source)
    stem = os.path.splitext(source)[0]
    host = "".join(rule + "\n" for rule in sketch.host).encode()
    return {stem + ".pcap": capture(sketch.frames),
            stem + ".host": host or None}


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def main(arguments):
    check = arguments[:1] == ["--check"]
    status = 0
    for source in arguments[check:]:
        for path, content in made_of(source).items():
            if read(path) == content:
                continue
            if check:
                print(f"{path} is not what {source} makes: run generate.py")
                status = 1
            elif content is None:
                os.remove(path)
            else:
                with open(path, "wb") as file:
                    file.write(content)
    return status


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
