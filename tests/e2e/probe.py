#!/usr/bin/python3
"""What the tests do inside the box, and beside it on the host for comparison.

usage: probe.py TEST ADDRESS PORT [ARGS]

Prints what it saw; exits 1, with the reason on stderr, when that is wrong.
The other end is peer.py.
"""

import errno
import select
import socket
import struct
import sys
import time

import pattern

IP_RECVERR, IPV6_RECVERR = 11, 25
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14
IPV6_MTU_DISCOVER, IPV6_MTU = 23, 24


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def open_tcp(address, port, line=""):
    sock = socket.socket(family_of(address), socket.SOCK_STREAM)
    sock.settimeout(120)
    sock.connect((address, int(port)))
    if line:
        sock.sendall(line.encode() + b"\n")
    return sock


def open_udp(address, port):
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.connect((address, int(port)))
    return sock


def expect(what, want):
    if what != want:
        sys.exit(f"got '{what}', expected '{want}'")


def result_of(address, port, key):
    return open_tcp(address, port, f"result {key}").recv(200).decode()


def do_connect(address, port, seconds=10):
    """connect(), and the name of its error."""
    sock = socket.socket(family_of(address), socket.SOCK_STREAM)
    sock.settimeout(float(seconds))
    try:
        sock.connect((address, int(port)))
        print("connected")
    except TimeoutError as error:
        # Python's own has no errno; the kernel's has
        if error.errno is None:
            sys.exit(f"nothing within {seconds} s")
        print(errno.errorcode[error.errno])
    except OSError as error:
        print(errno.errorcode[error.errno])


def do_download(address, port, count):
    sock = open_tcp(address, port, f"send {count}")
    expect(pattern.receive(sock), f"ok {count}")


def do_upload(address, port, count):
    sock = open_tcp(address, port, "receive")
    pattern.send(sock, int(count))
    sock.shutdown(socket.SHUT_WR)
    expect(sock.recv(200).decode(), f"ok {count}")


def do_download_closed(address, port, count):
    """The peer closes right after its last write."""
    sock = open_tcp(address, port, f"send-and-close {count}")
    expect(pattern.receive(sock), f"ok {count}")


def do_upload_closed(address, port, count):
    """We close right after our last write."""
    key = f"closed-{address}-{time.monotonic()}"
    sock = open_tcp(address, port, f"receive-for {key}")
    pattern.send(sock, int(count))
    sock.close()
    expect(result_of(address, port, key), f"ok {count}")


def do_half_close_box_first(address, port, count):
    sock = open_tcp(address, port, f"receive-then-send {count}")
    sock.shutdown(socket.SHUT_WR)
    expect(pattern.receive(sock), f"ok {count}")


def do_half_close_host_first(address, port, count):
    key = f"half-{address}-{time.monotonic()}"
    sock = open_tcp(address, port, f"end-then-receive-for {key}")
    expect(sock.recv(1), b"")
    pattern.send(sock, int(count))
    sock.shutdown(socket.SHUT_WR)
    expect(result_of(address, port, key), f"ok {count}")


def do_reset_by_peer(address, port):
    """The peer's RST arrives as ECONNRESET within a second."""
    sock = open_tcp(address, port, "reset")
    sock.recv(1)
    start = time.monotonic()
    sock.sendall(b"!")
    try:
        expect(sock.recv(1), "ECONNRESET")
    except ConnectionResetError:
        pass
    if time.monotonic() - start > 1:
        sys.exit("the reset came late")


def do_reset_by_us(address, port):
    """Ours arrives at the peer. Both share the machine's monotonic clock."""
    key = f"reset-{address}-{time.monotonic()}"
    sock = open_tcp(address, port, f"await-reset {key}")
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    start = time.monotonic()
    sock.close()
    how, when = result_of(address, port, key).split()
    expect(how, "ECONNRESET")
    if float(when) - start > 1:
        sys.exit("the reset came late")


def do_slow_download(address, port, count, seconds):
    """Stop reading for a while, long enough to close every window."""
    sock = open_tcp(address, port, f"send {count}")
    time.sleep(float(seconds))
    expect(pattern.receive(sock), f"ok {count}")


def do_slow_upload(address, port, count, seconds):
    """The peer stops reading for a while."""
    sock = open_tcp(address, port, f"stall-then-receive {seconds}")
    pattern.send(sock, int(count))
    sock.shutdown(socket.SHUT_WR)
    expect(sock.recv(200).decode(), f"ok {count}")


def do_speed(address, port, count):
    """Megabytes a second, down."""
    start = time.monotonic()
    do_download(address, port, count)
    print(int(int(count) / 1e6 / (time.monotonic() - start)))


def do_whoami(address, port):
    print(open_tcp(address, port, "whoami").recv(100).decode())


def do_hold(address, port, count, seconds="0"):
    """@count idle connections: say 'holding', keep them until stdin's end or
    for so many seconds, then check that each still ends as it should."""
    socks = [open_tcp(address, port, "hold") for _ in range(int(count))]
    for sock in socks:
        expect(sock.recv(1), b"?")
    print("holding", flush=True)
    if float(seconds):
        time.sleep(float(seconds))
    else:
        sys.stdin.read()
    for sock in socks:
        sock.sendall(b"!")
        expect(sock.recv(1), b"")


def do_hold_all(address, port, count):
    """As many connections as there can be of @count: print how many came and
    how the others failed, and hold them until stdin ends."""
    socks, errors = [], set()
    for _ in range(int(count)):
        try:
            sock = open_tcp(address, port, "hold")
            expect(sock.recv(1), b"?")
            socks.append(sock)
        except OSError as error:
            errors.add(errno.errorcode.get(error.errno, "timeout"))
    print(len(socks), *sorted(errors), flush=True)
    sys.stdin.read()


def do_udp_echo(address, port, size=100):
    """A datagram of @size comes back, at the third try at the latest: the
    first may have to find the path's MTU."""
    data = bytes(pattern.piece(1, int(size)))
    sock = open_udp(address, port)
    for _ in range(3):
        try:
            sock.send(data)
            if select.select([sock], [], [], 2)[0]:
                expect(len(sock.recv(65535)), int(size))
                return
        except OSError as error:
            print(errno.errorcode[error.errno], file=sys.stderr)
    sys.exit("no echo")


def do_udp_transfer(address, port, count):
    """@count bytes as datagrams to the peer and back, a few under way at a
    time. A lost one is sent again with what followed it; 20 times, no more."""
    count, size, window = int(count), 1400, 32 * 1400
    sock = open_udp(address, port)
    sent = back = again = 0
    while back < count:
        while sent < count and sent - back < window:
            sent += sock.send(pattern.piece(sent, min(size, count - sent)))
        data = b""
        if select.select([sock], [], [], 1)[0]:
            data = sock.recv(65535)
        if data and data == pattern.piece(back, len(data)):
            back += len(data)
            continue
        again += 1
        if again > 20:
            sys.exit(f"no or wrong bytes after {back}")
        while select.select([sock], [], [], 0.2)[0]:
            sock.recv(65535)
        sent = back


def do_udp_error(address, port, size=100):
    """The name of the error that a datagram brings back. Unreachable is told
    only to those who ask for it, and Linux as a router tells it once a second
    at most: ask again."""
    sock = open_udp(address, port)
    sock.settimeout(1.2)
    if family_of(address) == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    for _ in range(4):
        try:
            sock.send(bytes(int(size)))
            sock.recv(65535)
            print("answered")
            return
        except TimeoutError:
            continue
        except OSError as error:
            print(errno.errorcode[error.errno])
            return
    print("nothing")


def do_udp_mtu(address, port, size):
    """Send @size with DF set; print the error and the MTU that it taught."""
    sock = open_udp(address, port)
    if family_of(address) == socket.AF_INET6:
        level, discover, mtu = (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                                IPV6_MTU)
    else:
        level, discover, mtu = socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_MTU
    sock.setsockopt(level, discover, IP_PMTUDISC_DO)
    error = "no error"
    for _ in range(3):
        try:
            sock.send(bytes(int(size)))
            time.sleep(0.2)
        except OSError as err:
            error = errno.errorcode[err.errno]
            break
    print(error, sock.getsockopt(level, mtu))


def main():
    test, *args = sys.argv[1:]
    globals()["do_" + test.replace("-", "_")](*args)


if __name__ == "__main__":
    main()
