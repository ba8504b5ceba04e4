#!/usr/bin/python3
"""Who reaches what through ports that were published by pasta's options.

usage: pasta_ports.py options SHAPE
       pasta_ports.py ask SHAPE HOST_PID REMOTE_PID BOX_PID TOOL
       pasta_ports.py table HOST_PID REMOTE_PID BOX_PID TOOL [WORD...]

options: the words that pasta_ports.py ask SHAPE wants pasta to be started with.
SHAPE is single, range, translated, translated-range, address or interface; each
is {TCP, UDP} x {IPv4, IPv6} x {through the host's address, its loopback}.

table: what the seed problem is about, where tcp and udp ports from TABLE on are
published as Podman does it, one for each of the services that the box then gets. WORDs: ipv4, no
IPv6 anywhere; follow, nobody is accepted and then reset; lo, the host's
loopback reaches the box's.

TOOL: tapir, or another, of which less is expected.
"""

import itertools
import sys
import time

import published
from published import TCP, UDP, V4, V6

HOST = {V4: "192.0.2.2", V6: "2001:db8:1::2"}
NEAR = {V4: "192.0.2.1", V6: "2001:db8:1::1"}  # the remote, and the gateway
FAR = {V4: "198.51.100.1", V6: "2001:db8:2::1"}  # the remote, too
LOOPBACK = {V4: "127.0.0.1", V6: "::1"}
WORD = {TCP: "tcp", UDP: "udp"}
OPTION = {TCP: "-t", UDP: "-u"}
FIRST = 21000
TABLE = 8001
COUNT = {"range": 3, "translated-range": 3}
SHIFT = {"translated": 5000, "translated-range": 5000}

# What the services of the table listen on: address (a family: the box's own),
# v6only, the families that they serve
SERVICES = [
    ("0.0.0.0", True, {V4}),
    ("::", False, {V4, V6}),
    (V4, True, {V4}),
    ("::", True, {V6}),
    ("127.0.0.1", True, set()),
    (None, True, set()),
]


class Asker:
    def __init__(self, pids, tool):
        self.host, self.remote, self.box = map(published.Namespace, pids)
        self.tool = tool
        self.services = published.Services()
        self.alias = {}
        self.asked = 0
        self.wrong = 0

    def ask(self, namespace, kind, address, port, want, source=None):
        """@want: the outcomes that are right; a peer of None is any."""
        seconds = 0.2 if ("silence",) in want else 4
        got = published.ASK[kind](namespace, address, port, seconds,
                                  source=source)
        if self.tool != "tapir" and got == ("silence",) and got not in want:
            # It loses first packets while it learns the box's addresses
            got = published.ASK[kind](namespace, address, port, seconds,
                                      source=source)
        self.asked += 1
        told = [got]
        if got[0] == "data":
            told.append(("data", None, got[2]))
        if not set(told) & want:
            self.wrong += 1
            print(f"{WORD[kind]} {address} port {port} from "
                  f"{source or 'there'}: got {got}, expected {want}")
        return got

    def done(self):
        print(f"{self.asked} asked, {self.wrong} wrong")
        return 1 if self.wrong or not self.asked else 0

    def clients(self, family):
        """Namespace, address asked, source, the peer shown: the gateway, or
        the host's other name, for whom the box would take for itself."""
        host, remote = self.host, self.remote
        loopback, own = NEAR[family], self.alias.get(family, NEAR[family])
        if self.tool != "tapir":
            loopback = own = None
        return [
            (host, LOOPBACK[family], None, loopback),
            (host, HOST[family], None, own),
            (remote, HOST[family], NEAR[family], NEAR[family]),
            (remote, HOST[family], FAR[family], FAR[family]),
        ]


# ---- the shapes of a rule -----------------------------------------------------


def cases(shape):
    """Protocol, family, whether by loopback, first port."""
    port = FIRST
    for kind, family, near in itertools.product(
            (TCP, UDP), (V4, V6), (False, True)):
        yield kind, family, near, port
        port += 10


def options(shape):
    words = []
    for kind, family, near, port in cases(shape):
        last = port + COUNT.get(shape, 1) - 1
        to = port + SHIFT.get(shape, 0)
        spec = {
            "single": f"{port}",
            "range": f"{port}-{last}",
            "translated": f"{port}:{to}",
            "translated-range": f"{port}-{last}:{to}-{to + last - port}",
            "address": f"{(LOOPBACK if near else HOST)[family]}/{port}",
            "interface": f"%{'lo' if near else 'up0'}/{port}",
        }[shape]
        words += [OPTION[kind], spec]
    print(*words)


def ask_shape(asker, shape):
    for kind, family, near, first in cases(shape):
        for port in range(first, first + COUNT.get(shape, 1)):
            to = port + SHIFT.get(shape, 0)
            asker.services.open(asker.box, "::" if family == V6 else "0.0.0.0",
                                to, kind)
            for client in asker.clients(family):
                ask_client(asker, shape, near, kind, client, port, to)
        if shape != "interface":
            asker.ask(asker.host, kind, LOOPBACK[family], port + 1,
                      {("refused",)})


def ask_client(asker, shape, near, kind, client, port, to):
    namespace, address, source, shown = client
    want = {("data", shown, to)}
    # To Linux, what goes to the address of an interface arrives by it
    if shape in ("address", "interface") and \
            near != (address in LOOPBACK.values()):
        want = {("refused",)}
    asker.ask(namespace, kind, address, port, want, source)


# ---- the table ----------------------------------------------------------------


def ask_table(asker, words):
    asker.alias = {V4: "169.254.1.2"}
    own = asker.box.address_towards(FAR[V4])
    ports = []
    for n, (address, v6only, served) in enumerate(SERVICES):
        if "ipv4" in words and V4 not in served:
            continue
        for kind in (TCP, UDP):
            if address:
                asker.services.open(
                    asker.box, own if address == V4 else address, 9001 + n,
                    kind, v6only)
            ports.append((kind, n, served))
    if "follow" in words:
        time.sleep(0.5)
    for (kind, n, served), family in itertools.product(ports, (V4, V6)):
        for client in asker.clients(family):
            want = expected(asker, words, kind, client, served, n)
            asker.ask(client[0], kind, client[1], TABLE + n, want, client[2])


def expected(asker, words, kind, client, served, n):
    """The outcomes that are right for a service that serves @served."""
    namespace, address, _, shown = client
    family = V6 if ":" in address else V4
    other = V4 if family == V6 else V6
    nobody = {("reset",)} if kind == TCP else {("silence",), ("refused",)}
    if "follow" in words:
        nobody = {("refused",)}
    if family == V6 and "ipv4" in words:
        return {("refused",)}
    if "lo" in words and address in LOOPBACK.values():
        return expected_by_lo(asker, kind, family, n, nobody)
    if family in served:
        return {("data", shown, 9001 + n)}
    if other in served and asker.tool == "tapir" and "follow" not in words:
        return {("data", NEAR[other], 9001 + n)}
    return nobody


def expected_by_lo(asker, kind, family, n, nobody):
    """From the host's loopback to the box's, whoever the box then sees."""
    address, _, served = SERVICES[n]
    data = {("data", None, 9001 + n)}
    if asker.tool == "tapir":
        return data if address else nobody
    if address == V4:
        return nobody
    if address == "127.0.0.1":
        served = {V4}
    return data if family in served else nobody


def main():
    verb, *args = sys.argv[1:]
    if verb == "options":
        options(*args)
        return 0
    if verb == "ask":
        asker = Asker(args[1:4], args[4])
        ask_shape(asker, args[0])
    else:
        asker = Asker(args[:3], args[3])
        ask_table(asker, args[4:])
    return asker.done()


if __name__ == "__main__":
    sys.exit(main())
