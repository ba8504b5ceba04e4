#!/usr/bin/python3
"""Hold the exported symbols of our libraries to the house rules.

usage: check_symbols.py ROOT LIBRARY...

A symbol carries the name of its file, or of the header that the file shares
(packet_send in packet_out.c, by packet.h). None begins like one of lwIP's or
libpcap's. Prints the faults and exits 1 if there is any.
"""

import glob
import os
import re
import subprocess
import sys

FOREIGN = re.compile(
    r"(tcp|udp|ip|ip4|ip6|netif|pbuf|mem|memp|sys|dns|dhcp|dhcp6|icmp|icmp6|"
    r"raw|nd6|etharp|ethernet|autoip|igmp|mld6|inet|lwip|pcap)_", re.I)
# Second words of the shared headers: what is too small for a file of its own.
ALSO = {"stack/addr": ("endpoint",), "stack/frame": ("csum",)}
# Names that lwipopts.h gives to lwIP, which calls them.
HOOK = re.compile(r"tapir_\w+")


def exported(library):
    """Yield (object's stem, symbol) of what @library defines."""
    out = subprocess.run(["nm", "-A", "-g", "--defined-only", library],
                         check=True, text=True, capture_output=True).stdout
    for line in out.splitlines():
        match = re.search(r":([^:]+)\.c\.o:\s*\S+ [A-Za-z] (\S+)$", line)
        # Not ours: what the sanitizers add
        if match and not match.group(2).startswith("__"):
            yield match.group(1), match.group(2)


def stems_allowed(folder, stem):
    """The prefixes that file @stem of @folder may use."""
    yield stem
    yield from ALSO.get(f"{os.path.basename(folder)}/{stem}", ())
    if os.path.exists(os.path.join(folder, stem + ".h")):
        return
    for header in glob.glob(os.path.join(folder, "*.h")):
        name = os.path.basename(header)[:-2]
        if stem.startswith(name):
            yield name


def main():
    root, libraries = sys.argv[1], sys.argv[2:]
    faults, count = [], 0

    for library in libraries:
        folder = re.sub(r"^lib|\.a$", "", os.path.basename(library))
        for stem, symbol in exported(library):
            count += 1
            where = f"{folder}/{stem}.c: {symbol}"
            stems = list(stems_allowed(os.path.join(root, folder), stem))
            if FOREIGN.match(symbol):
                faults.append(f"{where} begins like a library's")
            elif not HOOK.fullmatch(symbol) and not any(
                    symbol == s or symbol.startswith(s + "_") for s in stems):
                faults.append(f"{where} lacks its file's name")
    if count == 0:
        faults.append("no symbol found: is this the right place?")
    print("\n".join(faults) or f"{count} symbols, no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
