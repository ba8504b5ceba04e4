#!/usr/bin/python3
"""The other end of the tests' connections.

usage: peer.py PORT [ADDRESS]

Serves TCP and UDP on @PORT of all addresses, both families. UDP is echoed. A
TCP client's first line says what it wants, see the functions below.
"""

import errno
import socket
import struct
import sys
import threading
import time

import pattern

RESULTS = {}  # what happened to a connection that cannot be told on it


def do_send(sock, count):
    """Send, end the stream, wait for the client's end."""
    pattern.send(sock, int(count))
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(4096):
        pass


def do_send_and_close(sock, count):
    """Send and close without waiting for anything."""
    pattern.send(sock, int(count))


def do_receive(sock):
    """Read to the end, then say what came: half-close, container first."""
    sock.sendall(pattern.receive(sock).encode())


def do_receive_for(sock, key):
    """Read to the end; the result is asked for by another connection."""
    RESULTS[key] = pattern.receive(sock)


def do_end_then_receive_for(sock, key):
    """Half-close, host first, with data still flowing the other way."""
    sock.shutdown(socket.SHUT_WR)
    RESULTS[key] = pattern.receive(sock)


def do_receive_then_send(sock, count):
    """Half-close, container first, with data still flowing the other way."""
    while sock.recv(4096):
        pass
    pattern.send(sock, int(count))


def do_stall_then_receive(sock, seconds):
    """Read nothing for a while."""
    time.sleep(float(seconds))
    do_receive(sock)


def do_reset(sock):
    """Answer one byte, and its answer by a RST."""
    sock.sendall(b"?")
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))


def do_await_reset(sock, key):
    """Tell under @key how the connection ended, and when."""
    sock.sendall(b"?")
    try:
        data = sock.recv(1)
        how = "data" if data else "end"
    except OSError as error:
        how = errno.errorcode[error.errno]
    RESULTS[key] = f"{how} {time.monotonic()}"


def do_result(sock, key):
    """What became of @key, waiting for it up to 10 s."""
    for _ in range(200):
        if key in RESULTS:
            break
        time.sleep(0.05)
    sock.sendall(RESULTS.pop(key, "nothing").encode())


def do_hold(sock):
    """Say one byte, then nothing until the client ends."""
    sock.sendall(b"?")
    sock.recv(1)


def do_whoami(sock):
    """The client's address as seen here."""
    sock.sendall(sock.getpeername()[0].removeprefix("::ffff:").encode())


def serve(sock):
    try:
        line = b""
        while not line.endswith(b"\n"):
            byte = sock.recv(1)
            if not byte:
                return
            line += byte
        verb, *args = line.decode().split()
        globals()["do_" + verb.replace("-", "_")](sock, *args)
    except OSError as error:
        print(f"{line!r}: {error}", flush=True)
    finally:
        sock.close()


def echo(sock):
    while True:
        data, ancillary, _, where = sock.recvmsg(65535, 1024)
        try:
            # From the address that was asked, not the interface's first
            sock.sendmsg([data], ancillary, 0, where)
        except OSError as error:
            print(f"echo to {where}: {error}", flush=True)


def main():
    port = int(sys.argv[1])
    address = sys.argv[2] if len(sys.argv) > 2 else "::"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    tcp = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        for sock in (udp, tcp):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    udp.bind((address, port))
    threading.Thread(target=echo, args=(udp,), daemon=True).start()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((address, port))
    tcp.listen(512)
    while True:
        sock, _ = tcp.accept()
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
