"""Bytes that can be told apart: the stream both ends of a transfer expect."""

import random

PERIOD = (1 << 20) - 13  # not a multiple of anything a buffer may be
_BLOCK = memoryview(random.Random(7).randbytes(PERIOD) * 2)


def piece(offset, length):
    """@length bytes, PERIOD at most, of the stream from @offset on."""
    start = offset % PERIOD
    return _BLOCK[start:start + length]


def send(sock, total):
    """Send the first @total bytes of the stream."""
    sent = 0
    while sent < total:
        sent += sock.send(piece(sent, min(1 << 18, total - sent)))


def receive(sock):
    """Read @sock to its end. Return what there is to say: 'ok COUNT', or what
    was wrong and where."""
    buffer = bytearray(1 << 18)
    view = memoryview(buffer)
    count = 0
    while True:
        try:
            length = sock.recv_into(buffer)
        except OSError as error:
            return f"error {error.errno} after {count}"
        if length == 0:
            return f"ok {count}"
        if view[:length] != piece(count, length):
            return f"wrong bytes after {count}"
        count += length
