#!/usr/bin/python3
"""Replay the test frames of a text source and hold tapir to what it says.

usage: replay.py [--accept] TAPIR FILE.txt

Runs `tapir replay` on the capture and compares its output with x.want.pcap to
the byte, then what lies in that, and the counters, with the source's lines.
--accept writes x.want.pcap from what tapir does now: look at what changed.
"""

import os
import struct
import subprocess
import sys
import tempfile

from sketch import GATEWAY_MAC, Sketch
import packets
from told import Teller


def replay(tapir, sketch, arguments):
    """Run the command. Return (status, report)."""
    stem = os.path.splitext(sketch.path)[0]
    if sketch.host:
        arguments = arguments + ["--host", stem + ".host"]
    done = subprocess.run(
        [tapir, "replay", *sketch.options, *arguments, stem + ".pcap"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False)
    return done.returncode, done.stdout


def read_capture(path):
    """Yield (ns, bytes) of a capture as tapir writes it."""
    with open(path, "rb") as file:
        data = file.read()
    at = 24
    while at < len(data):
        sec, nsec, have, _ = struct.unpack("<IIII", data[at:at + 16])
        at += 16
        yield sec * 10**9 + nsec, data[at:at + have]
        at += have


def show_time(ns):
    for unit, scale in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if ns % scale == 0:
            return f"{ns // scale}{unit}"
    return f"{ns}ns"


def told_frames(sketch, path):
    """Yield ("fed",) for each frame of the container and ("told", words) for
    each of tapir's, without the first RA, with which every replay begins."""
    gateway = packets.mac(GATEWAY_MAC)
    teller, last = Teller(sketch), None
    sent = iter(kind for step, kind, _ in sketch.steps if step == "fed")
    for number, (when, frame) in enumerate(read_capture(path)):
        if frame[6:12] != gateway:
            last = when
            teller.hear(next(sent, None))
            yield ("fed", frame)
        elif number > 0:
            words = teller.tell(frame)
            if last is not None:
                words.append("after=" + show_time(when - last))
            yield ("told", words)


def fits(wanted, words):
    return wanted[:1] == words[:1] and set(wanted) <= set(words)


def compare_told(sketch, path):
    """Return what is not as the source says, line by line."""
    faults, steps = [], list(sketch.steps)
    for kind, got in told_frames(sketch, path):
        shown = " ".join(got) if kind == "told" else "the next frame"
        if not steps:
            faults.append(f"{sketch.path}: not expected: {shown}")
            continue
        step = steps[0]
        if kind == step[0] and (kind == "fed" or fits(step[1], got)):
            steps.pop(0)
        elif kind == step[0]:
            faults.append(f"{step[2]}: wanted {' '.join(step[1])}\n"
                          f"\tgot {shown}")
            steps.pop(0)
        elif kind == "told":
            faults.append(f"{step[2]}: before this came, not expected:\n"
                          f"\t{shown}")
        else:
            while steps and steps[0][0] == "told":
                faults.append(f"{steps[0][2]}: did not come: "
                              f"{' '.join(steps.pop(0)[1])}")
            if steps:
                steps.pop(0)
    faults += [f"{step[2]}: did not come" for step in steps]
    return faults


def compare_report(sketch, report):
    lines = report.splitlines()
    drops = {}
    for line in lines:
        number, _, name = line.partition(" ")
        if name.startswith("drop_"):
            drops[name] = int(number)
    faults = [f"{sketch.path}: {name}: wanted {sketch.drops.get(name, 0)}, "
              f"got {drops.get(name, 0)}"
              for name in sorted(drops.keys() | sketch.drops.keys())
              if drops.get(name, 0) != sketch.drops.get(name, 0)]
    return faults + [f"{sketch.path}: not in the report: {line}"
                     for line in sketch.report if line not in lines]


def check(tapir, sketch, want):
    """Return (faults, report)."""
    status, report = replay(tapir, sketch, ["--expect", want])
    faults = compare_told(sketch, want) + compare_report(sketch, report)
    if status != 0:
        faults.append(f"tapir replay: status {status}")
    return faults, report


def accept(tapir, sketch, want):
    with tempfile.TemporaryDirectory() as folder:
        new = os.path.join(folder, "new.pcap")
        status, report = replay(tapir, sketch, ["-o", new])
        if status != 0:
            sys.exit(report)
        with open(new, "rb") as source, open(want, "wb") as file:
            file.write(source.read())


def main(arguments):
    accepting = arguments[:1] == ["--accept"]
    if len(arguments) != 2 + accepting:
        sys.exit(__doc__)
    tapir, source = arguments[accepting:]
    sketch = Sketch(source)
    want = os.path.splitext(source)[0] + ".want.pcap"
    if accepting:
        accept(tapir, sketch, want)
    faults, report = check(tapir, sketch, want)
    print("\n".join(faults + (["", report] if faults else [])), end="")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
