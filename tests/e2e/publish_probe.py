#!/usr/bin/python3
"""Published ports one question at a time; all combinations are asked by
publish_matrix.py.

usage: publish_probe.py TEST API HOST_PID REMOTE_PID BOX_PID [ARGS]

Exits 1, with the reason on stderr, when something is wrong.
"""

import resource
import select
import socket
import statistics
import sys
import time

import published
from published import ASK, RESET, TCP, UDP, V4, V6

HOST = {V4: "192.0.2.2", V6: "2001:db8:1::2"}
LOOPBACK = {V4: "127.0.0.1", V6: "::1"}
ANY = {V4: "0.0.0.0", V6: "::"}
WORDS = {TCP: "tcp", UDP: "udp"}
QUICKLY = 0.25  # the container's listen() or close to the host's
FREE = 21000    # ports that the tests publish
SERVICE = 8000  # ports that the services have


def expect(what, want):
    if what != want:
        sys.exit(f"got {what!r}, expected {want!r}")


class Stage:
    def __init__(self, api, host_pid, remote_pid, box_pid):
        self.api = api
        self.host = published.Namespace(host_pid)
        self.remote = published.Namespace(remote_pid)
        self.box = published.Namespace(box_pid)
        self.services = published.Services()

    def serve(self, address, port, kind=TCP, v6only=False):
        return self.services.open(self.box, address, port, kind, v6only)

    def add(self, proto, host_port, guest_port, **more):
        return published.add(self.api, proto, host_port, guest_port, **more)

    def remove(self, rule):
        published.remove(self.api, rule["id"])

    def entries(self):
        return published.api(self.api, "list_hostfwd")["return"]["entries"]

    def connect(self, address, port, namespace=None):
        """A connection that the service has answered."""
        sock = (namespace or self.remote).socket(address, TCP)
        sock.settimeout(10)
        sock.connect((address, port))
        if not sock.recv(100).endswith(b"\n"):
            sys.exit("no answer")
        return sock


def echoes(sock):
    """Does a connection still carry data?"""
    sock.sendall(b"still there?")
    expect(sock.recv(100), b"still there?")


# ---- rules that come and go ---------------------------------------------------


def do_add(stage, proto, host_port, guest_port, *more):
    """A rule for the test to use; @more: KEY=VALUE."""
    arguments = dict(word.split("=") for word in more)
    if "follow" in arguments:
        arguments["follow"] = arguments["follow"] == "1"
    stage.add(proto, int(host_port), int(guest_port), **arguments)


def do_churn(stage, count):
    """Add and remove rules of all kinds, @count times."""
    kinds = (("tcp", {}), ("udp", {}), ("tcp4", {"follow": True}),
             ("udp6", {"follow": True}), ("tcp", {"host_port_end": FREE + 9}),
             ("tcp", {"host_addr": "127.0.0.1"}))
    start = time.monotonic()
    for n in range(int(count)):
        proto, more = kinds[n % len(kinds)]
        stage.remove(stage.add(proto, FREE, SERVICE, **more))
    print(f"{count} in {time.monotonic() - start:.1f} s")


def do_keep(stage):
    """A rule that is removed keeps its connections, and lets nobody in."""
    for address in ANY.values():
        stage.serve(address, SERVICE, TCP, True)
        stage.serve(address, SERVICE, UDP, True)
    for family, address in HOST.items():
        rules = [stage.add(word, FREE, SERVICE) for word in WORDS.values()]
        sock = stage.connect(address, FREE)
        expect(ASK[UDP](stage.host, address, FREE)[0], "data")
        for rule in rules:
            stage.remove(rule)
        for kind in TCP, UDP:
            expect(ASK[kind](stage.host, address, FREE), ("refused",))
        for _ in range(3):
            echoes(sock)
            time.sleep(0.1)
        sock.shutdown(socket.SHUT_WR)
        expect(sock.recv(1), b"")


def do_taken(stage):
    """A port that the host itself uses, in either family."""
    for kind, word in WORDS.items():
        for family, address in ANY.items():
            sock = stage.host.socket(address, kind)
            if family == V6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, FREE))
            if kind == TCP:
                sock.listen()
            name = f"[{address}]" if family == V6 else address
            try:
                stage.add(word, FREE, SERVICE)
                sys.exit(f"{name} was taken twice")
            except published.ApiError as error:
                expect(str(error), "bad request: add_hostfwd: "
                       "slirp_add_hostfwd failed: "
                       f"address in use: {name}:{FREE} ({word})")
            sock.close()
            # Nor is the other family left bound
            stage.remove(stage.add(word, FREE, SERVICE))


def do_big_range(stage, count):
    """A rule of @count ports: 'all' if its first and last work, or what its
    error says."""
    count = int(count)
    start = time.monotonic()
    try:
        rule = stage.add("tcp4", FREE, 30000, host_port_end=FREE + count - 1)
    except published.ApiError as error:
        print(error)
        expect(stage.entries(), [])
        return
    print(f"added in {(time.monotonic() - start) * 1000:.0f} ms")
    for n in (0, count - 1):
        stage.serve("0.0.0.0", 30000 + n)
        expect(published.ask_tcp(stage.remote, HOST[V4], FREE + n)[0], "data")
    start = time.monotonic()
    stage.remove(rule)
    print(f"removed in {(time.monotonic() - start) * 1000:.0f} ms")
    print("all")


# ---- many clients, clients that go --------------------------------------------


def do_burst(stage, count):
    """@count clients at the same time, in each family."""
    count = int(count)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    stage.serve("::", SERVICE)
    stage.add("tcp", FREE, SERVICE)
    for address in HOST.values():
        start = time.monotonic()
        socks = {}
        wait = select.epoll()
        for _ in range(count):
            sock = stage.remote.socket(address, TCP)
            sock.setblocking(False)
            sock.connect_ex((address, FREE))
            socks[sock.fileno()] = sock
            wait.register(sock, select.EPOLLIN)
        answered = 0
        while answered < count:
            ready = wait.poll(15)
            if not ready:
                sys.exit(f"{answered} of {count} were answered")
            for fd, _ in ready:
                if not socks[fd].recv(100).endswith(b"\n"):
                    sys.exit(f"one was ended after {answered}")
                wait.unregister(fd)
                answered += 1
        print(f"{count} answered in {time.monotonic() - start:.2f} s")
        for sock in socks.values():
            sock.settimeout(10)
            echoes(sock)
            sock.close()


def do_vanish(stage, count):
    """Clients that go, by FIN and RST, while the container says nothing: the
    rule leads to an address that nobody has."""
    stage.add("tcp", FREE, SERVICE, guest_addr="10.0.2.150")
    stage.serve("0.0.0.0", SERVICE)
    stage.add("tcp", FREE + 1, SERVICE)
    socks = []
    for n in range(int(count)):
        sock = stage.remote.socket(HOST[V4], TCP)
        sock.settimeout(5)
        sock.connect((HOST[V4], FREE))
        socks.append(sock)
    # Time to accept them all
    time.sleep(0.3)
    for n, sock in enumerate(socks):
        if n % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        elif n % 4:
            sock.send(b"hello?")
        sock.close()
    expect(published.ask_tcp(stage.remote, HOST[V4], FREE + 1)[0], "data")


def do_crowd(stage, count):
    """More clients than the tool has descriptors for: each is served when
    others have gone. Says 'full' and waits for a line in between."""
    left = {}
    stage.serve("0.0.0.0", SERVICE)
    stage.add("tcp4", FREE, SERVICE)
    print("published", flush=True)
    sys.stdin.readline()
    for _ in range(int(count)):
        sock = stage.remote.socket(HOST[V4], TCP)
        sock.connect((HOST[V4], FREE))
        left[sock.fileno()] = sock
    served = len(select.select(list(left), [], [], 5)[0])
    time.sleep(1)
    served = len(select.select(list(left), [], [], 0)[0])
    print("full", served, flush=True)
    if not 5 <= served <= int(count) // 2:
        sys.exit("which cannot be")
    sys.stdin.readline()
    while left:
        ready = select.select(list(left), [], [], 10)[0]
        if not ready:
            sys.exit(f"{len(left)} wait for ever")
        for fd in ready:
            sock = left.pop(fd)
            if not sock.recv(100).endswith(b"\n"):
                sys.exit("one was ended")
            sock.close()


# ---- families -----------------------------------------------------------------


def do_other_family(stage, count):
    """What the first connection costs that has to change the family, against
    one that has not; medians of @count."""
    took = {V4: [], V6: []}
    stage.serve("0.0.0.0", SERVICE)
    for _ in range(int(count)):
        for family, times in took.items():
            rule = stage.add("tcp", FREE, SERVICE)
            sock = stage.host.socket(LOOPBACK[family], TCP)
            sock.settimeout(5)
            start = time.perf_counter()
            sock.connect((LOOPBACK[family], FREE))
            if not sock.recv(100):
                sys.exit("no answer")
            times.append(time.perf_counter() - start)
            sock.close()
            stage.remove(rule)
    same, other = (statistics.median(took[f]) * 1e6 for f in (V4, V6))
    print(f"same family {same:.0f} µs, other family {other:.0f} µs")
    if other - same > 1000:
        sys.exit("the change costs more than a millisecond")


def do_udp_other_family(stage, count):
    """A kernel tells one host of its closed ports once a second only. That
    makes clients repeat themselves, not fail."""
    for n in range(int(count)):
        stage.serve("0.0.0.0", SERVICE + n, UDP)
        stage.add("udp", FREE + n, SERVICE + n)
    for n in range(int(count)):
        expect(published.ask_udp(stage.host, "::1", FREE + n, 10, 8),
               ("data", published.GATEWAY[V4], SERVICE + n))


def do_fixed_guest(stage):
    """A rule for one address of the container leads there and nowhere else."""
    own = {V4: stage.box.address_towards("198.51.100.1"),
           V6: stage.box.address_towards("2001:db8:2::1")}
    for n, family in enumerate((V4, V6)):
        other = V6 if family == V4 else V4
        for kind, word in WORDS.items():
            stage.serve(own[family], SERVICE + n, kind)
            rule = stage.add(word, FREE, SERVICE + n, guest_addr=own[family])
            for outside in (V4, V6):
                shown = published.GATEWAY[family]
                if outside == family:
                    shown = stage.remote.address_towards(HOST[family])
                expect(ASK[kind](stage.remote, HOST[outside], FREE),
                       ("data", shown, SERVICE + n))
            stage.remove(rule)
        stage.serve(own[other], SERVICE + 2 + n)
        rule = stage.add("tcp", FREE, SERVICE + 2 + n, guest_addr=own[family])
        for outside in HOST.values():
            expect(ASK[TCP](stage.remote, outside, FREE), ("reset",))
        stage.remove(rule)


def size_of_echo(sock, size):
    """Of a datagram of @size bytes; the link outside is narrower than the
    box's, so one answer may be lost to tell the box."""
    for _ in range(3):
        sock.send(b"u" * size)
        try:
            return len(sock.recv(65536).partition(b"\n")[2])
        except TimeoutError:
            pass
    return None


def do_udp_sizes(stage):
    """Datagrams of all sizes, there and back, the empty one too. The answer may
    have to find the path's MTU first."""
    stage.add("udp", FREE, SERVICE)
    stage.serve("::", SERVICE, UDP)
    for address in HOST.values():
        for size in (0, 1, 1400, 1472, 9000, 65000):
            with stage.remote.socket(address, UDP) as sock:
                sock.settimeout(1)
                sock.connect((address, FREE))
                expect(size_of_echo(sock, size), size)


def do_udp_clients(stage, count):
    """Each client is told apart, and its port kept where it can be."""
    stage.add("udp", FREE, SERVICE)
    sock = stage.box.socket("::", UDP)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", SERVICE))
    sock.settimeout(5)
    clients, peers = [], {}
    for n in range(int(count)):
        address = HOST[V4] if n % 2 else HOST[V6]
        client = stage.remote.socket(address, UDP)
        client.settimeout(5)
        client.connect((address, FREE))
        client.send(b"%d" % n)
        data, peers[n] = sock.recvfrom(100)
        expect(data, b"%d" % n)
        shown, port = client.getsockname()[:2]
        expect((published.plain(peers[n][0]), peers[n][1]), (shown, port))
        clients.append(client)
    for n, client in reversed(list(enumerate(clients))):
        sock.sendto(b"to %d" % n, peers[n])
        expect(client.recv(100), b"to %d" % n)


# ---- services that cannot be reached ------------------------------------------


def do_loopback_only(stage, address):
    """A service on the container's own @address: reset, a note with the
    remedy in the list."""
    stage.serve(address, SERVICE)
    stage.add("tcp", FREE, SERVICE)
    for outside in HOST.values():
        for _ in range(3):
            expect(ASK[TCP](stage.remote, outside, FREE), ("reset",))
    note = stage.entries()[0]["note"]
    for word in (address, "0.0.0.0", "[::]"):
        if word not in note:
            sys.exit(f"no '{word}' in '{note}'")
    # Whoever takes the advice is not told again
    stage.serve("::" if ":" in address else "0.0.0.0", SERVICE + 1)
    stage.add("tcp", FREE + 1, SERVICE + 1)
    entry = stage.entries()[1]
    if entry.get("note"):
        sys.exit(f"a note where all is well: {entry}")


# ---- following ----------------------------------------------------------------


def until(ask, want, bad, limit):
    """Ask until the outcome is @want: how long that took. None of @bad may
    come before."""
    start = time.monotonic()
    while True:
        got = ask()[0]
        took = time.monotonic() - start
        if got == want:
            if took > limit:
                sys.exit(f"{want} after {took * 1000:.0f} ms")
            return took
        if got in bad:
            sys.exit(f"{got} while waiting for {want}")
        if took > 5:
            sys.exit(f"{got} for 5 s, never {want}")
        time.sleep(0.004)


def do_follow_times(stage, rounds):
    """The host's port opens and closes soon after the container's."""
    limit = QUICKLY
    for kind, word in WORDS.items():
        opened, closed = [], []
        stage.add(word, FREE, SERVICE, follow=True)
        for n in range(int(rounds)):
            family = V6 if n % 2 else V4

            def ask():
                return ASK[kind](stage.remote, HOST[family], FREE, 0.05)

            expect(ask(), ("refused",))
            time.sleep(0.017 * n % 0.1)
            sock = stage.serve(ANY[family], SERVICE, kind, True)
            opened.append(until(ask, "data", ("reset", "silence"), limit))
            # The other family stays closed
            other = HOST[V4 if family == V6 else V6]
            expect(ASK[kind](stage.remote, other, FREE), ("refused",))
            time.sleep(0.013 * n % 0.1)
            stage.services.close(sock)
            closed.append(until(ask, "refused", ("data",), limit))
        print(f"{word}: opened within {max(opened) * 1000:.0f} ms, "
              f"closed within {max(closed) * 1000:.0f} ms")


def do_follow_keep(stage):
    """Connections stay when the container stops listening."""
    listener = stage.serve("0.0.0.0", SERVICE)
    stage.add("tcp", FREE, SERVICE, follow=True)
    sock = stage.connect(HOST[V4], FREE)
    stage.services.close(listener)
    until(lambda: ASK[TCP](stage.remote, HOST[V4], FREE), "refused", (), 5)
    echoes(sock)
    # Nobody else gets the port meanwhile
    thief = stage.host.socket("0.0.0.0", TCP)
    try:
        thief.bind(("0.0.0.0", FREE))
        thief.listen()
        sys.exit("the port could be taken")
    except OSError:
        pass


def do_follow_cost(stage, tool_pid, count):
    """What a look at @count listeners costs the tool, at best: other programs
    of the machine are not what is measured. It takes ten a second; more cannot
    be told from outside."""
    def spent():
        with open(f"/proc/{tool_pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0])

    for n in range(int(count)):
        stage.serve("0.0.0.0" if n % 2 else "::", SERVICE + n)
    stage.add("tcp", FREE, SERVICE, follow=True)
    took = []
    for _ in range(5):
        start, before = time.monotonic(), spent()
        time.sleep(1)
        looks = (time.monotonic() - start) * 10
        took.append((spent() - before) / looks / 1000)
    print(f"{min(took):.0f} to {max(took):.0f} µs a look at {count} listeners")
    if min(took) > 1000:
        sys.exit("more than a millisecond")


def do_follow_add(stage):
    """A rule is open by the time its answer is here, if the container
    listens."""
    for kind, word in WORDS.items():
        stage.serve("::", SERVICE, kind)
        for address in HOST.values():
            for n in range(5):
                rule = stage.add(word, FREE, SERVICE, follow=True)
                expect(ASK[kind](stage.remote, address, FREE)[0], "data")
                stage.remove(rule)


def main():
    test, *words = sys.argv[1:]
    globals()["do_" + test.replace("-", "_")](Stage(*words[:4]), *words[4:])


if __name__ == "__main__":
    main()
