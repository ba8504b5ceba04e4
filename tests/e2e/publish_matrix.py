#!/usr/bin/python3
"""Who reaches which service by which rule, all combinations.

usage: publish_matrix.py SHAPE API HOST_PID REMOTE_PID BOX_PID
                         [--follow] [--ipv4]

SHAPE is single, range, translated or bound. --follow: by rules that follow,
with which nobody is accepted and then reset. --ipv4: only what slirp4netns
can. Prints each combination that went wrong.
"""

import argparse
import itertools
import socket
import sys
import time

import published
from published import TCP, UDP, V4, V6

HOST = {V4: "192.0.2.2", V6: "2001:db8:1::2"}
REMOTE = {V4: "192.0.2.1", V6: "2001:db8:1::1"}
# Addresses of the host that the container would not answer through the tap,
# the last of which it has itself
NEAR = ["10.0.2.77", "fd00::77", "10.0.2.100"]

# name: address (V4 or V6: the container's own), v6only, families served
SERVICES = {
    "0.0.0.0": ("0.0.0.0", True, {V4}),
    "[::]": ("::", False, {V4, V6}),
    "[::] v6only": ("::", True, {V6}),
    "own IPv4": (V4, True, {V4}),
    "own IPv6": (V6, True, {V6}),
    "127.0.0.1": ("127.0.0.1", True, set()),
    "::1": ("::1", True, set()),
    "nobody": (None, True, set()),
}
WORDS = {TCP: "tcp", UDP: "udp"}
MUTE = {"127.0.0.1", "::1", "nobody"}  # through a tap


class Client:
    def __init__(self, name, namespace, addresses, shown=None):
        self.name = name
        self.namespace = namespace
        self.addresses = addresses
        # By the family that is asked: the address seen in the box when the
        # connection arrives there in the same family
        self.shown = shown or published.GATEWAY


class Rule:
    def __init__(self, service, kind, bound, host_port, guest_port, count):
        self.service = service
        self.kind = kind
        self.bound = bound
        self.host_port = host_port
        self.guest_port = guest_port
        self.count = count


class Matrix:
    def __init__(self, options):
        self.options = options
        self.host = published.Namespace(options.host_pid)
        self.remote = published.Namespace(options.remote_pid)
        self.box = published.Namespace(options.box_pid)
        self.services = published.Services()
        self.own = {V4: self.box.address_towards("198.51.100.1")}
        if not options.ipv4:
            self.own[V6] = self.box.address_towards("2001:db8:2::1")
        self.asked = 0
        self.wrong = []

    def clients(self):
        host, remote = self.host, self.remote
        localhost = [i[4][0] for i in socket.getaddrinfo(
            "localhost", 80, type=TCP)]
        all_clients = [
            Client("127.0.0.1", host, ["127.0.0.1"]),
            Client("::1", host, ["::1"]),
            Client("localhost", host, sorted(localhost, reverse=True)),
            Client("host's IPv4", host, [HOST[V4]], HOST),
            Client("host's IPv6", host, [HOST[V6]], HOST),
            Client("remote IPv4", remote, [HOST[V4]], REMOTE),
            Client("remote IPv6", remote, [HOST[V6]], REMOTE),
            Client("remote link-local", remote,
                   [f"{host.link_local('up0')}%up0"]),
        ] + [Client(f"near {a}", host, [a]) for a in NEAR]
        return [c for c in all_clients if not self.options.ipv4 or
                not (":" in "".join(c.addresses) or c.name.startswith("near"))]

    def rules(self):
        shape = self.options.shape
        count = 3 if shape in ("range", "translated") else 1
        guest_offset = 0 if shape in ("single", "range") else 10000
        bound = [None]
        if shape == "bound":
            bound = ["127.0.0.1", "::1", HOST[V4], HOST[V6]]
        port = 20000
        for where, service, kind in itertools.product(
                bound, SERVICES, (TCP, UDP)):
            if shape != "single" and service in MUTE:
                continue
            if self.options.ipv4 and (":" in (where or "") or
                                      V4 not in SERVICES[service][2]):
                continue
            yield Rule(service, kind, where, port, port + guest_offset,
                       count)
            port += 10

    def open_services(self, rule):
        address, v6only, _ = SERVICES[rule.service]
        address = self.own.get(address, address)
        if not address:
            return
        for n in range(rule.count):
            self.services.open(self.box, address, rule.guest_port + n,
                               rule.kind, v6only)

    def add(self, rule):
        more = {}
        if rule.bound:
            more["host_addr"] = rule.bound
        if self.options.follow:
            more["follow"] = True
        if rule.count > 1 and not self.options.ipv4:
            more["host_port_end"] = rule.host_port + rule.count - 1
        once = 1 if "host_port_end" in more else rule.count
        for n in range(once):
            published.add(self.options.api, WORDS[rule.kind],
                          rule.host_port + n, rule.guest_port + n, **more)

    def expected(self, rule, client, address, port):
        """The outcomes that are right."""
        family = V6 if ":" in address else V4
        served = SERVICES[rule.service][2]
        if rule.bound and rule.bound != address:
            return {("refused",)}
        if self.options.follow and family not in served:
            return {("refused",)}
        if not served:
            return {("reset",)} if rule.kind == TCP else \
                {("silence",), ("refused",)}
        guest_port = port - rule.host_port + rule.guest_port
        if family in served:
            return {("data", client.shown[family], guest_port)}
        other = V4 if family == V6 else V6
        return {("data", published.GATEWAY[other], guest_port)}

    def ask(self, rule, client, port):
        """As a client of a name does: the next address if one refuses."""
        for address in client.addresses:
            want = self.expected(rule, client, address, port)
            # Silence takes time to hear
            seconds = 0.15 if ("silence",) in want else 4
            got = published.ASK[rule.kind](client.namespace, address, port,
                                           seconds)
            self.asked += 1
            if got not in want:
                where = f" bound to {rule.bound}" if rule.bound else ""
                self.wrong.append(
                    f"{WORDS[rule.kind]} {client.name} ({address}) to port "
                    f"{port}{where}, service on {rule.service}: "
                    f"got {' '.join(map(str, got))}, expected "
                    f"{' or '.join(' '.join(map(str, w)) for w in want)}")
            if got != ("refused",):
                return

    def run(self):
        rules = list(self.rules())
        # Or the first look of a rule that follows would find nothing
        for rule in rules:
            self.open_services(rule)
        for rule in rules:
            self.add(rule)
        start = time.monotonic()
        for rule, client in itertools.product(rules, self.clients()):
            for n in range(rule.count):
                self.ask(rule, client, rule.host_port + n)
        print(f"{self.asked} asked in {time.monotonic() - start:.1f} s, "
              f"{len(self.wrong)} wrong")
        for line in self.wrong:
            print(line)
        return 1 if self.wrong or not self.asked else 0


def main():
    words = argparse.ArgumentParser()
    words.add_argument("shape", choices=("single", "range", "translated",
                                         "bound"))
    words.add_argument("api")
    words.add_argument("host_pid")
    words.add_argument("remote_pid")
    words.add_argument("box_pid")
    words.add_argument("--follow", action="store_true")
    words.add_argument("--ipv4", action="store_true")
    return Matrix(words.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
