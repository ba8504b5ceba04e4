#!/usr/bin/python3
"""Writes a capture as large as one likes, of conversations that all look alike.

usage: capture_large.py MEGABYTES OUT

Each is a megabyte that the container downloads in segments of MTU 1500 and
acknowledges two by two, 100 us apart, by a port of its own; with the checksums
of the container's segments still open, as a tap has them. Prints how many
conversations these are.
"""

import struct
import sys

SYN, FIN, PSH, ACK = 2, 1, 8, 16
BOX, GATEWAY = bytes.fromhex("020000000064"), bytes.fromhex("525400123502")
SELF, PEER = bytes([10, 0, 2, 100]), bytes([198, 51, 100, 1])
MSS, COUNT = 1460, 700
MSS_OPTION = struct.pack(">BBH", 2, 4, MSS)
GUEST_ISN, PEER_ISN = 1000, 500000
FIRST_PORT, PORTS = 1024, 64000


def sum16(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def segment(from_box, flags, seq, ack, payload=b""):
    """A frame and where its container's port is, which is left 0."""
    source, target = (SELF, PEER) if from_box else (PEER, SELF)
    ports = (0, 80) if from_box else (80, 0)
    options = MSS_OPTION if flags & SYN else b""
    payload = options + payload
    length = 20 + len(payload)
    half_done = sum16(source + target + struct.pack(">HH", 6, length))
    tcp = struct.pack(">HHIIBBHHH", *ports, seq, ack, (5 + len(options) // 4) << 4,
                      flags, 65535, half_done, 0)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, 6,
                     0) + source + target
    ip = ip[:10] + struct.pack(">H", sum16(ip) ^ 0xffff) + ip[12:]
    macs = GATEWAY + BOX if from_box else BOX + GATEWAY
    return macs + b"\x08\x00" + ip + tcp + payload, 34 if from_box else 36


def conversation():
    request = b"GET /megabyte HTTP/1.0\r\n\r\n"
    guest, peer = GUEST_ISN + 1, PEER_ISN + 1
    body = bytes(range(256)) * 6
    yield segment(True, SYN, GUEST_ISN, 0)
    yield segment(False, SYN | ACK, PEER_ISN, guest)
    yield segment(True, ACK, guest, peer)
    yield segment(True, PSH | ACK, guest, peer, request)
    guest += len(request)
    for n in range(COUNT):
        yield segment(False, ACK, peer, guest, body[:MSS])
        peer += MSS
        if n % 2:
            yield segment(True, ACK, guest, peer)
    yield segment(False, FIN | ACK, peer, guest)
    yield segment(True, FIN | ACK, guest, peer + 1)
    yield segment(False, ACK, peer + 1, guest + 1)


def main():
    size, path = int(sys.argv[1]) * 1000000, sys.argv[2]
    block, seconds, ports = bytearray(), [], []
    for n, (frame, port) in enumerate(conversation()):
        seconds.append(len(block))
        ports.append(len(block) + 16 + port)
        block += struct.pack("=IIII", 0, n * 100, len(frame),
                             len(frame)) + frame
    count = -(-size // len(block))
    with open(path, "wb") as file:
        file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for n in range(count):
            for at in seconds:
                block[at:at + 4] = (1700000000 + n).to_bytes(4, sys.byteorder)
            port = (FIRST_PORT + n % PORTS).to_bytes(2, "big")
            for at in ports:
                block[at:at + 2] = port
            file.write(block)
    print(count)


if __name__ == "__main__":
    main()
