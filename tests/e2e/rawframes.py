#!/usr/bin/python3
"""Frames that no honest container sends, from inside the box.

usage: rawframes.py INTERFACE GATEWAY_MAC SOURCE4 SOURCE6 PORT

Sends through a packet socket: IPv4 and IPv6 SYNs and datagrams to addresses
that mean the host itself, spoofed sources, headers whose lengths and checksums
lie, options that run over, fragments that overlap or never end, and noise from
a seeded generator. PORT is where a listener of the host waits in vain. Prints
how many frames went out.
"""

import random
import socket
import struct
import sys

TARGETS4 = ("127.0.0.1", "127.1.2.3", "0.0.0.0", "255.255.255.255",
            "224.0.0.1", "10.0.2.255", "10.0.2.0", "240.0.0.1")
TARGETS6 = ("::1", "::", "::ffff:127.0.0.1", "::127.0.0.1",
            "::ffff:0.0.0.0", "ff02::1", "ff01::1", "64:ff9b::7f00:1")
SOURCES4 = ("127.0.0.1", "0.0.0.0", "10.0.2.2", "10.0.2.3", "192.0.2.1",
            "255.255.255.255", "224.0.0.1")
SOURCES6 = ("::1", "::", "fd00::2", "fd00::3", "fe80::2", "2001:db8:1::1",
            "ff02::1", "::ffff:10.0.2.100")
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def syn(port, source_port=40000):
    return struct.pack(">HHIIBBHHH", source_port, port, 1, 0, 0x50, 2, 65535,
                       0, 0)


def udp(port, data=b"hello"):
    return struct.pack(">HHHH", 40000, port, 8 + len(data), 0) + data


def with_checksum(proto, pseudo, body):
    at = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2}[proto]
    value = checksum((b"" if proto == ICMP else pseudo) + body)
    return body[:at] + struct.pack(">H", value) + body[at + 2:]


def packet4(source, target, proto, body, length=None, fragment=0, options=b"",
            header_checksum=None, ident=7):
    source = socket.inet_pton(socket.AF_INET, source)
    target = socket.inet_pton(socket.AF_INET, target)
    if not fragment:
        pseudo = source + target + struct.pack(">HH", proto, len(body))
        body = with_checksum(proto, pseudo, body)
    words = 5 + len(options) // 4
    total = words * 4 + len(body) if length is None else length
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, total, ident, fragment,
                       64, proto, 0) + source + target + options
    if header_checksum is None:
        header_checksum = checksum(head)
    return head[:10] + struct.pack(">H", header_checksum) + head[12:] + body


def packet6(source, target, proto, body, length=None, extension=None):
    """@extension: (its number, its bytes), put before @body."""
    source = socket.inet_pton(socket.AF_INET6, source)
    target = socket.inet_pton(socket.AF_INET6, target)
    pseudo = source + target + struct.pack(">II", len(body), proto)
    body = with_checksum(proto, pseudo, body)
    first = proto
    if extension:
        first, body = extension[0], extension[1] + body
    return struct.pack(">IHBB", 6 << 28,
                       len(body) if length is None else length, first,
                       64) + source + target + body


def to_the_host_itself(own4, own6, port):
    for target in TARGETS4:
        yield packet4(own4, target, TCP, syn(port))
        yield packet4(own4, target, UDP, udp(port))
    for target in TARGETS6:
        yield packet6(own6, target, TCP, syn(port))
        yield packet6(own6, target, UDP, udp(port))
    # A source route to the host's loopback
    route = b"\x83\x07\x04\x7f\x00\x00\x01\x00"
    yield packet4(own4, "10.0.2.2", UDP, udp(port), options=route)
    routing = struct.pack(">BBBBI", UDP, 2, 0, 1, 0) \
        + socket.inet_pton(socket.AF_INET6, "::1")
    yield packet6(own6, "fd00::2", UDP, udp(port), extension=(43, routing))


def from_others(port):
    for source in SOURCES4:
        for target in ("127.0.0.1", "10.0.2.2", "198.51.100.1"):
            yield packet4(source, target, TCP, syn(port))
            yield packet4(source, target, UDP, udp(port))
    for source in SOURCES6:
        for target in ("::1", "fd00::2", "2001:db8:2::1"):
            yield packet6(source, target, TCP, syn(port))
            yield packet6(source, target, UDP, udp(port))


def that_lie(own4, own6, port):
    good = packet4(own4, "198.51.100.1", UDP, udp(port, bytes(64)))
    for end in range(1, len(good)):
        yield good[:end]
    good = packet6(own6, "2001:db8:2::1", UDP, udp(port, bytes(64)))
    for end in range(1, len(good)):
        yield good[:end]
    for length in (0, 1, 19, 20, 27, 28, 33, 1000, 65535):
        yield packet4(own4, "198.51.100.1", UDP, udp(port), length=length)
        yield packet6(own6, "2001:db8:2::1", UDP, udp(port), length=length)
    for value in (0, 1, 0xffff):
        yield packet4(own4, "198.51.100.1", TCP, syn(port),
                      header_checksum=value)
    for version in range(16):
        yield bytes((version << 4 | 5,)) + good[1:]
    for words in range(16):
        bad = bytearray(packet4(own4, "198.51.100.1", TCP, syn(port)))
        bad[0] = 0x40 | words
        bad[10:12] = b"\0\0"
        bad[10:12] = struct.pack(">H", checksum(bytes(bad[:words * 4])))
        yield bytes(bad)
        # The TCP header's own length
        segment = bytearray(syn(port))
        segment[12] = words << 4
        yield packet4(own4, "198.51.100.1", TCP, bytes(segment))
    for option in (b"\x02\x00", b"\x02\xff", b"\x03\x01", b"\x08\x0a",
                   b"\x02\x04\x00\x00", b"\x02\x04\x00\x01", b"\x05\x03"):
        segment = bytearray(syn(port)) + option.ljust(4, b"\1")
        segment[12] = 6 << 4
        yield packet4(own4, "198.51.100.1", TCP, bytes(segment))
    for flags in range(256):
        segment = bytearray(syn(port, 41000))
        segment[13] = flags
        yield packet4(own4, "198.51.100.1", TCP, bytes(segment))
    for extension in ((0, b"\x11\xff" + bytes(6)), (0, b"\x00\x00" * 4),
                      (60, b"\x3c\x00" * 4), (44, b"\x11\x00\x00\x01" * 2),
                      (43, b"\x11\xff" + bytes(6)), (59, b""), (255, b"")):
        yield packet6(own6, "2001:db8:2::1", UDP, udp(port),
                      extension=extension)
    # A neighbour solicitation with an option of length 0, and others cut off
    for kind in (133, 134, 135, 136, 137, 143):
        body = struct.pack(">BBHI", kind, 0, 0, 0) + bytes(16) + b"\1\0" * 4
        for end in (4, 8, 24, 26, 32):
            yield packet6(own6, "ff02::1", ICMP6, body[:end])


def fragments(own4):
    more = 0x2000
    for ident in range(3000):  # never end
        yield packet4(own4, "198.51.100.1", UDP, bytes(64), fragment=more,
                      ident=ident)
    for step in (1, 2, 3):  # overlap
        for at in range(0, 64, step):
            yield packet4(own4, "198.51.100.1", UDP, bytes(64),
                          fragment=more | at, ident=9000 + step)
    for at in (8185, 8189, 8191):  # beyond 65,535
        yield packet4(own4, "198.51.100.1", UDP, bytes(64), fragment=at,
                      ident=9100)
    yield packet4(own4, "198.51.100.1", UDP, bytes(61), fragment=more,
                  ident=9200)


def noise(count):
    rng = random.Random(2)
    for _ in range(count):
        head = rng.choice((b"\x45", b"\x60", b"\x46", b"\x4f", b""))
        yield head + rng.randbytes(rng.randrange(1, 200))


def main():
    interface, mac, own4, own6, port = sys.argv[1:]
    port = int(port)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((interface, 0))
    own_mac = sock.getsockname()[4]
    peer = bytes.fromhex(mac.replace(":", ""))
    count = 0

    def send(frame):
        nonlocal count
        try:
            sock.send(frame)
            count += 1
        except OSError:
            pass  # the kernel refuses frames shorter than a header

    for packets in (to_the_host_itself(own4, own6, port), from_others(port),
                    that_lie(own4, own6, port), fragments(own4), noise(3000)):
        for packet in packets:
            kind = b"\x86\xdd" if packet[:1] >= b"\x60" else b"\x08\x00"
            send(peer + own_mac + kind + packet)
    arp = bytes.fromhex("0001080006040001") + own_mac + bytes(16)
    for end in range(len(arp) + 1):
        send(b"\xff" * 6 + own_mac + b"\x08\x06" + arp[:end])
    for frame in (b"", peer, peer + own_mac, peer + own_mac + b"\x81\x00",
                  peer + b"\xff" * 6 + b"\x08\x00" + bytes(40),
                  peer + bytes(6) + b"\x08\x00" + bytes(40)):
        send(frame)
    print(count)


if __name__ == "__main__":
    main()
