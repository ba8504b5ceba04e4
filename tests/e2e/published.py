"""What the tests of published ports share: sockets in other namespaces, the
API socket, services in the box and clients outside.

A socket belongs to the network namespace in which it was made, so one process
that enters and leaves them plays all sides.
"""

import ctypes
import errno
import json
import os
import selectors
import socket
import struct
import threading

CLONE_NEWNET = 0x40000000
V4, V6 = socket.AF_INET, socket.AF_INET6
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST
GATEWAY = {V4: "10.0.2.2", V6: "fd00::2"}

_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """The network namespace of a process. `with` it: this thread is inside."""

    def __init__(self, pid):
        self.path = f"/proc/{pid}/ns/net"
        self.back = None

    @staticmethod
    def _enter(path):
        fd = os.open(path, os.O_RDONLY)
        if _libc.setns(fd, CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(fd)

    def __enter__(self):
        self.back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._enter(self.path)

    def __exit__(self, *_):
        self._enter(f"/proc/self/fd/{self.back}")
        os.close(self.back)

    def socket(self, address, kind):
        with self:
            return socket.socket(V6 if ":" in address else V4, kind)

    def endpoint(self, address, port):
        """For connect(); the scope's name is this namespace's."""
        address, _, scope = address.partition("%")
        if not scope:
            return (address, port)
        with self:
            return (address, port, 0, socket.if_nametoindex(scope))

    def address_towards(self, far):
        """The address that this namespace uses to reach @far."""
        with self.socket(far, UDP) as sock:
            sock.connect((far, 9))
            return sock.getsockname()[0]

    def link_local(self, device):
        """Its link-local address there; None without one."""
        with self, open("/proc/thread-self/net/if_inet6",
                        encoding="ascii") as file:
            for line in file:
                digits, *_, name = line.split()
                if name == device and digits.startswith("fe80"):
                    return socket.inet_ntop(V6, bytes.fromhex(digits))


def plain(address):
    return address.removeprefix("::ffff:")


# ---- the API socket -----------------------------------------------------------


def api_connect(path):
    sock = socket.socket(socket.AF_UNIX, TCP)
    # With a timeout it would fail where there is a queue
    sock.connect(path)
    sock.settimeout(20)
    return sock


def api_text(path, text, half_close=True):
    """One request as it stands; the whole answer."""
    with api_connect(path) as sock:
        sock.sendall(text)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return rest_of(sock)


def rest_of(sock):
    """What is answered; of a request that was not read to its end, a reset is
    the end."""
    answer = b""
    try:
        while data := sock.recv(65536):
            answer += data
    except ConnectionResetError:
        pass
    return answer


def api(path, execute, **arguments):
    request = {"execute": execute}
    if arguments:
        request["arguments"] = arguments
    return json.loads(api_text(path, json.dumps(request).encode()))


class ApiError(Exception):
    """The text of the answer."""


def add(path, proto, host_port, guest_port, **more):
    """A new rule's answer; what its error says is raised."""
    answer = api(path, "add_hostfwd", proto=proto, host_port=host_port,
                 guest_port=guest_port, **more)
    if "error" in answer:
        raise ApiError(answer["error"]["desc"])
    return answer["return"]


def remove(path, rule):
    answer = api(path, "remove_hostfwd", id=rule)
    if answer != {"return": {}}:
        raise ApiError(answer)


# ---- services -----------------------------------------------------------------


class Services:
    """TCP: say who connected to which port, as a line, then echo. UDP: answer
    with that line and what came."""

    def __init__(self):
        self.wait = selectors.DefaultSelector()
        self.closed = []
        self.knock, self.door = socket.socketpair()
        self.wait.register(self.door, selectors.EVENT_READ, self._close)
        threading.Thread(target=self._run, daemon=True).start()

    def open(self, namespace, address, port, kind, v6only=True):
        sock = namespace.socket(address, kind)
        if sock.family == V6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        if kind == TCP:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.setblocking(False)
        if kind == TCP:
            sock.listen(4096)
        self.wait.register(sock, selectors.EVENT_READ,
                           self._accept if kind == TCP else self._datagram)
        return sock

    def close(self, sock):
        """By the thread that waits for it, before this returns."""
        done = threading.Event()
        self.closed.append((sock, done))
        self.knock.send(b"!")
        done.wait(5)

    def _run(self):
        while True:
            for key, _ in self.wait.select():
                try:
                    key.data(key.fileobj)
                except BlockingIOError:
                    pass

    def _close(self, door):
        door.recv(1)
        sock, done = self.closed.pop(0)
        self.wait.unregister(sock)
        sock.close()
        done.set()

    def _accept(self, listener):
        while True:
            sock, peer = listener.accept()
            port = sock.getsockname()[1]
            sock.sendall(f"{plain(peer[0])} {port}\n".encode())
            sock.setblocking(False)
            self.wait.register(sock, selectors.EVENT_READ, self._echo)

    def _echo(self, sock):
        try:
            data = sock.recv(65536)
            if data:
                sock.sendall(data)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.wait.unregister(sock)
        sock.close()

    def _datagram(self, sock):
        data, peer = sock.recvfrom(65536)
        line = f"{plain(peer[0])} {sock.getsockname()[1]}\n"
        sock.sendto(line.encode() + data, peer)


# ---- clients ------------------------------------------------------------------


def ask_tcp(namespace, address, port, seconds=4, source=None):
    """What becomes of a connection: ("data", peer, its port), or how it failed:
    refused, reset, another errno's name or silence."""
    with namespace.socket(address, TCP) as sock:
        sock.settimeout(seconds)
        try:
            if source:
                sock.bind((source, 0))
            sock.connect(namespace.endpoint(address, port))
        except ConnectionRefusedError:
            return ("refused",)
        except OSError as error:
            return _failure(error)
        try:
            sock.sendall(b"ping\n")
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while data := sock.recv(100):
                answer += data
        except OSError as error:
            return _failure(error)
    return _answer(answer)


def ask_udp(namespace, address, port, seconds=4, tries=1, source=None):
    """Likewise, of a datagram; asked again when nothing comes."""
    with namespace.socket(address, UDP) as sock:
        sock.settimeout(seconds / tries)
        if source:
            sock.bind((source, 0))
        outcome = ("silence",)
        for _ in range(tries):
            try:
                sock.connect(namespace.endpoint(address, port))
                sock.send(b"ping\n")
                return _answer(sock.recv(200))
            except ConnectionRefusedError:
                return ("refused",)
            except OSError as error:
                outcome = _failure(error)
        return outcome


def _failure(error):
    if isinstance(error, TimeoutError) and error.errno is None:
        return ("silence",)
    # After a reset, shutdown() finds no connection
    if isinstance(error, ConnectionResetError) or \
            error.errno == errno.ENOTCONN:
        return ("reset",)
    return (errno.errorcode.get(error.errno, str(error)),)


def _answer(data):
    line, _, rest = data.decode().partition("\n")
    if not line or rest != "ping\n":
        return (f"wrong answer {data!r}",)
    peer, port = line.split()
    return ("data", peer, int(port))


ASK = {TCP: ask_tcp, UDP: ask_udp}
