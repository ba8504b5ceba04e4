"""Frames as bytes: what a line of a text source (sketch.py) is made into.

A Packet is an upper header with its payload. It becomes one Ethernet frame,
or one fragment of one. Whatever an honest stack would work out (lengths,
checksums) is worked out, unless the line says otherwise.
"""

import socket
import struct

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86dd
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
EXTENSIONS = {"hop": HOP_BY_HOP, "route": ROUTING, "dest": DESTINATION}
CSUM_AT = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2}
SCRIPT_PERIOD = 251  # of the bytes that a replayed host sends
TCP_FLAGS = "FSRPAUEC"


def checksum(data):
    data = bytes(data) + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def is_v6(addr):
    return ":" in addr


def packed(addr):
    return socket.inet_pton(socket.AF_INET6 if is_v6(addr) else
                            socket.AF_INET, addr)


def mac(text):
    return bytes(int(part, 16) for part in text.split(":"))


def pattern(start, length):
    return bytes((start + i) % SCRIPT_PERIOD for i in range(length))


def pseudo(src, dst, proto, length):
    form = ">II" if is_v6(src) else ">HH"
    words = (length, proto) if is_v6(src) else (proto, length)
    return packed(src) + packed(dst) + struct.pack(form, *words)


def group_mac(addr):
    """The Ethernet address of a multicast or broadcast address, or None."""
    if addr == "255.255.255.255":
        return mac("ff:ff:ff:ff:ff:ff")
    raw = packed(addr)
    if is_v6(addr):
        return b"\x33\x33" + raw[12:] if raw[0] == 0xff else None
    if raw[0] >> 4 == 0xe:
        return b"\x01\x00\x5e" + bytes((raw[1] & 0x7f,)) + raw[2:]
    return None


class Options:
    """The `key=value` words of a line, each of which must be used."""

    def __init__(self, pairs):
        self.pairs = list(pairs)
        self.used = set()

    def text(self, key, default=None):
        self.used.add(key)
        return next((v for k, v in self.pairs if k == key), default)

    def number(self, key, default=None):
        value = self.text(key)
        return default if value is None else int(value, 0)

    def hex(self, key):
        value = self.text(key)
        return None if value is None else bytes.fromhex(value)

    def flag(self, key):
        return self.text(key) is not None

    def several(self, keys):
        """Those of @keys, in the order of the line."""
        self.used.update(keys)
        return [(k, v) for k, v in self.pairs if k in keys]

    def check_used(self):
        for key, _ in self.pairs:
            if key not in self.used:
                raise ValueError(f"'{key}' means nothing here")


def set_checksum(body, proto, src, dst, options):
    """Fill in the checksum of @body: right, or `sum=bad`, or a number."""
    how = options.text("sum", "good")
    at = CSUM_AT.get(proto)
    if at is None or len(body) < at + 2:
        return bytes(body)
    body = body[:at] + b"\0\0" + body[at + 2:]
    head = b"" if proto == ICMP else pseudo(src, dst, proto, len(body))
    if how in ("good", "bad"):
        value = checksum(head + body)
        if proto == UDP and value == 0:
            value = 0xffff
        if how == "bad":
            value ^= 0x5555
    elif how == "open":  # as a kernel leaves it to its network card
        value = ~checksum(head) & 0xffff
    else:
        value = int(how, 0)
    return body[:at] + struct.pack(">H", value) + body[at + 2:]


def cut_out(body, options):
    """(offset, bytes, more) of the fragment `frag=FROM-[TO]`, or None."""
    text = options.text("frag")
    if text is None:
        return None
    first, _, last = text.partition("-")
    start = int(first)
    end = int(last) if last else len(body)
    more = options.number("more", int(end < len(body)))
    return options.number("at", start), body[start:end], more


def header4(src, dst, proto, body, options):
    fragment = cut_out(body, options)
    field = 0x4000 if options.flag("df") else 0
    if fragment:
        offset, body, more = fragment
        field |= offset // 8 | (0x2000 if more else 0)
    extra = options.hex("ipopt") or b""
    words = options.number("ihl", 5 + len(extra) // 4)
    head = struct.pack(
        ">BBHHHBBH", options.number("version", 4) << 4 | words,
        options.number("tos", 0),
        options.number("totlen", 20 + len(extra) + len(body)),
        options.number("id", 0), field, options.number("ttl", 64), proto,
        0) + packed(src) + packed(dst) + extra
    value = checksum((head + body)[:max(words, 5) * 4])
    how = options.text("ipsum", "good")
    value ^= 0x5555 if how == "bad" else 0
    return head[:10] + struct.pack(">H", value) + head[12:] + body


def header6(src, dst, proto, body, options):
    chain = []  # (type, bytes without the "next" byte)
    for name, text in options.several(EXTENSIONS):
        body_ = bytes.fromhex(text)
        chain.append((EXTENSIONS[name], body_))
    fragment = cut_out(body, options)
    if options.flag("atomic"):
        fragment = (0, body, 0)
    if fragment:
        offset, body, more = fragment
        chain.append((FRAGMENT, struct.pack(
            ">BHI", 0, offset & 0xfff8 | more, options.number("id", 0))))
    proto = options.number("next", proto)
    for kind, rest in reversed(chain):
        body = bytes((proto,)) + rest + body
        proto = kind
    return struct.pack(
        ">IHBB", options.number("version", 6) << 28
        | options.number("tos", 0) << 20,
        options.number("totlen", len(body)), proto,
        options.number("ttl", 64)) + packed(src) + packed(dst) + body


def ip_frame(src, dst, proto, body, options, macs):
    """An Ethernet frame of an upper header with its payload. @macs: who sends
    and who gets it, as bytes."""
    proto = options.number("proto", proto)
    body = set_checksum(body, proto, src, dst, options)
    v6 = is_v6(dst)
    packet = (header6 if v6 else header4)(src, dst, proto, body, options)
    return ethernet(IPV6 if v6 else IPV4, packet, options,
                    (macs[0], group_mac(dst) or macs[1]))


def ethernet(kind, payload, options, macs):
    src = options.text("eth.src")
    dst = options.text("eth.dst")
    frame = (mac(dst) if dst else macs[1]) + (mac(src) if src else macs[0]) \
        + struct.pack(">H", options.number("eth.type", kind)) + payload
    frame += bytes(options.number("pad", 0))
    cut = options.number("cut")
    return frame if cut is None else frame[:cut]


def payload(options, start=0):
    """What `data=TEXT`, `hex=`, `size=N` (a pattern) or `dns=NAME` say."""
    text = options.text("data")
    if text is not None:
        return text.encode()
    raw = options.hex("hex")
    if raw is not None:
        return raw
    if options.flag("dns"):
        message = dns(options)
        return struct.pack(">H", len(message)) + message
    return pattern(start, options.number("size", 0))


def udp(sport, dport, data, options):
    return struct.pack(">HHHH", sport, dport,
                       options.number("ulen", 8 + len(data)), 0) + data


def echo(v6, reply, options):
    kind = (129 if reply else 128) if v6 else (0 if reply else 8)
    return struct.pack(">BBHHH", options.number("type", kind),
                       options.number("code", 0), 0,
                       options.number("ident", 1),
                       options.number("seq", 1)) + payload(options)


def tcp_options(options, peer_isn):
    """The bytes of the TCP options that a line names, padded with NOPs."""
    out = b""
    for key, value in options.several(("mss", "ws", "sackok", "sack",
                                       "stamp", "opt")):
        if key == "mss":
            out += struct.pack(">BBH", 2, 4, int(value, 0))
        elif key == "ws":
            out += struct.pack(">BBB", 3, 3, int(value, 0))
        elif key == "sackok":
            out += b"\x04\x02"
        elif key == "stamp":
            out += struct.pack(">BBII", 8, 10, int(value), 0)
        elif key == "opt":
            out += bytes.fromhex(value)
        else:
            edges = [int(e) for block in value.split(",")
                     for e in block.split("-")]
            out += struct.pack(">BB", 5, 2 + 4 * len(edges))
            for edge in edges:
                out += struct.pack(">I", (peer_isn + edge) & 0xffffffff)
    return out + b"\x01" * (-len(out) % 4)


def tcp(ports, numbers, flags, data, extra, options):
    """@numbers: sequence and acknowledgement number."""
    value = sum(1 << TCP_FLAGS.index(f) for f in flags if f != "-")
    doff = options.number("doff", 5 + len(extra) // 4)
    return struct.pack(">HHIIBBHHH", *ports,
                       *(n & 0xffffffff for n in numbers), doff << 4 & 0xf0,
                       value, options.number("win", 64240), 0,
                       options.number("urg", 0)) + extra + data


def arp(op, sender_mac, sender, target_mac, target, options):
    return struct.pack(">HHBBH", options.number("htype", 1),
                       options.number("ptype", IPV4),
                       options.number("hlen", 6), options.number("plen", 4),
                       options.number("op", op)) \
        + sender_mac + packed(sender) + target_mac + packed(target)


def dns_name(name):
    return b"".join(bytes((len(p),)) + p.encode()
                    for p in name.split(".")) + b"\0"


DNS_TYPES = {"A": 1, "AAAA": 28}


def dns(options):
    """A query for `dns=NAME`, or its answer with `answer=ADDR`."""
    name = dns_name(options.text("dns"))
    answer = options.text("answer")
    kind = DNS_TYPES[options.text("type", "A")]
    head = struct.pack(">HHHHHH", options.number("qid", 1),
                       0x8180 if answer else 0x0100, 1, bool(answer), 0, 0)
    question = name + struct.pack(">HH", kind, 1)
    if not answer:
        return head + question
    raw = packed(answer)
    return head + question + struct.pack(">HHHIH", 0xc00c, kind, 1, 60,
                                         len(raw)) + raw


DHCP_TYPES = {"discover": 1, "offer": 2, "request": 3, "decline": 4, "ack": 5,
              "nak": 6, "release": 7, "inform": 8}


def dhcp(kind, chaddr, options):
    """A client's message, without its UDP header."""
    def v4(key):
        return packed(options.text(key, "0.0.0.0"))

    out = struct.pack(
        ">BBBBIHH", options.number("op", 1), options.number("htype", 1),
        options.number("hlen", 6), 0, options.number("xid", 0x1234), 0,
        0x8000 if options.flag("broadcast") else 0)
    out += v4("ciaddr") + v4("yiaddr") + v4("siaddr") + v4("giaddr")
    out += chaddr + bytes(10)
    out += (options.hex("sname") or b"").ljust(64, b"\0")
    out += (options.hex("file") or b"").ljust(128, b"\0")
    out += struct.pack(">I", options.number("magic", 0x63825363))
    if kind in DHCP_TYPES:
        out += bytes((53, 1, DHCP_TYPES[kind]))
    for key, code in (("requested", 50), ("server", 54)):
        if options.flag(key):
            out += bytes((code, 4)) + v4(key)
    if options.flag("client"):
        raw = options.hex("client")
        out += bytes((61, len(raw))) + raw
    out += options.hex("opt") or b""
    return out + (b"" if options.flag("endless") else b"\xff")


def lla(kind, address):
    return bytes((kind, 1)) + address
