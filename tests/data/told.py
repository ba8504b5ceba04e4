"""What a frame of tapir's says, in words that a text source can expect.

A frame is told as a set of words, its kind first; a line `= WORD...` of a
source is met if the first word is the kind and all others are among the rest.
Addresses appear by their names. Kinds and what is told of them:

  arp reply ADDR to=ADDR mac=
  ra to=, hops= lifetime= prefix= mtu= dns= mac=
  na TARGET to= R S O mac=        (router, solicited, override)
  dhcp offer|ack|nak to= you= client=, server= mask= router= dns= mtu= lease=
  pong ADDR to= ident= seq= size=
  udp SRC:PORT DST:PORT size= data=
  dns SRC:PORT DST:PORT name answer=
  unreach net|host|port|admin|too-big from= to= of=udp|tcp|ping mtu=
  FLOW FLAGS seq= ack= size= win= mss= ws= sackok sack=FROM-TO,... data=
  frag ADDR to= id= at= size= last
  bad WHY                         a length or checksum is wrong

Sequence numbers are relative, windows as they stand in the field. All have
after=TIME, the time since the container's last frame.
"""

import socket
import struct

import packets

RA_LEN = 16
DHCP_OPTIONS_AT = 240
DHCP_NAMES = {1: "mask", 3: "router", 6: "dns", 54: "server"}
UNREACH4 = {0: "net", 1: "host", 3: "port", 4: "too-big", 13: "admin"}
UNREACH6 = {0: "net", 1: "admin", 3: "host", 4: "port"}
SHOWN = 64  # bytes of a payload at most


class Teller:
    """Tells frames one after the other, since conversations have a past."""

    def __init__(self, sketch):
        self.names = {addr: name for name, addr in sketch.names.items()}
        self.all = [(name, flow.ends, flow.isn[0])
                    for name, flow in sketch.flows.items()]
        self.flows = {}  # ends: [name, container's first number, ours]
        for name, ends, isn in reversed(self.all):
            self.flows[ends] = [name, isn, 0]

    def hear(self, flow):
        """The container sends a segment of @flow: from now on it is the one
        that has these ends."""
        for name, ends, isn in self.all:
            if name == flow and self.flows[ends][0] != name:
                self.flows[ends] = [name, isn, 0]

    def name(self, raw):
        family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
        addr = socket.inet_ntop(family, raw)
        return self.names.get(addr, addr)

    def end(self, raw, port):
        return f"{self.name(raw)}:{port}"

    def tell(self, frame):
        kind = struct.unpack(">H", frame[12:14])[0]
        body = frame[14:]
        if kind == packets.ARP:
            return self.tell_arp(body)
        if kind == packets.IPV4:
            return self.tell_ip4(body)
        if kind == packets.IPV6:
            return self.tell_ip6(body)
        return ["ethertype", hex(kind)]

    def tell_arp(self, body):
        op = struct.unpack(">H", body[6:8])[0]
        return ["arp", {1: "request", 2: "reply"}[op], self.name(body[14:18]),
                "to=" + self.name(body[24:28]), "mac=" + mac_text(body[8:14])]

    def tell_ip4(self, packet):
        head = (packet[0] & 15) * 4
        length, ident, frag = struct.unpack(">HHH", packet[2:8])
        src, dst = packet[12:16], packet[16:20]
        if packets.checksum(packet[:head]) != 0:
            return ["bad", "ip-checksum"]
        if length != len(packet):
            return ["bad", "ip-length"]
        if frag & 0x3fff:
            return self.fragment(src, dst, ident, (frag & 0x1fff) * 8,
                                 frag & 0x2000, packet[head:])
        words = ["df"] if frag & 0x4000 else []
        return self.tell_upper(src, dst, packet[9], packet[head:]) + words

    def tell_ip6(self, packet):
        length, proto = struct.unpack(">HB", packet[4:7])
        src, dst = packet[8:24], packet[24:40]
        body = packet[40:]
        if length != len(body):
            return ["bad", "ip-length"]
        if proto == packets.FRAGMENT:
            field, ident = struct.unpack(">HI", body[2:8])
            return self.fragment(src, dst, ident, field & 0xfff8, field & 1,
                                 body[8:])
        return self.tell_upper(src, dst, proto, body)

    def fragment(self, src, dst, ident, offset, more, body):
        return ["frag", self.name(src), "to=" + self.name(dst),
                f"id={ident}", f"at={offset}", f"size={len(body)}"] \
            + ([] if more else ["last"])

    def tell_upper(self, src, dst, proto, body):
        family = socket.AF_INET if len(src) == 4 else socket.AF_INET6
        ends = [socket.inet_ntop(family, a) for a in (src, dst)]
        head = b"" if proto == packets.ICMP else \
            packets.pseudo(*ends, proto, len(body))
        if packets.checksum(head + body) != 0:
            return ["bad", "checksum"]
        if proto == packets.TCP:
            return self.tell_tcp(ends, body)
        if proto == packets.UDP:
            return self.tell_udp(src, dst, body)
        if proto == packets.ICMP:
            return self.tell_icmp4(src, dst, body)
        if proto == packets.ICMP6:
            return self.tell_icmp6(src, dst, body)
        return ["ip", f"proto={proto}"]

    def tell_udp(self, src, dst, body):
        sport, dport, length = struct.unpack(">HHH", body[:6])
        data = body[8:]
        if length != len(body):
            return ["bad", "udp-length"]
        if sport == 67 and len(data) >= DHCP_OPTIONS_AT:
            return self.tell_dhcp(dst, data)
        ends = [self.end(src, sport), self.end(dst, dport)]
        if sport == 53 and len(data) > 12:
            return ["dns", *ends] + tell_dns(data)
        return ["udp", *ends, f"size={len(data)}"] + shown(data)

    def tell_dhcp(self, dst, data):
        words, at = [], DHCP_OPTIONS_AT
        kind = "?"
        while at < len(data) and data[at] != 255:
            if data[at] == 0:
                at += 1
                continue
            code, value = data[at], data[at + 2:at + 2 + data[at + 1]]
            at += 2 + len(value)
            if code == 53:
                kind = {2: "offer", 5: "ack", 6: "nak"}[value[0]]
            elif code in DHCP_NAMES:
                words.append(f"{DHCP_NAMES[code]}={self.name(value)}")
            elif code == 26:
                words.append(f"mtu={int.from_bytes(value, 'big')}")
            elif code == 51:
                words.append(f"lease={int.from_bytes(value, 'big')}")
            elif code == 61:
                words.append("client=" + value.hex())
        return ["dhcp", kind, "to=" + self.name(dst),
                "ciaddr=" + self.name(data[12:16]),
                "you=" + self.name(data[16:20])] + words

    def tell_icmp4(self, src, dst, body):
        kind, code = body[0], body[1]
        if kind == 0:
            return self.pong(src, dst, body)
        if kind != 3:
            return ["icmp", f"type={kind}", f"code={code}"]
        return ["unreach", UNREACH4[code]] + self.quoted(src, dst, body) \
            + ([f"mtu={body[6] << 8 | body[7]}"] if code == 4 else [])

    def tell_icmp6(self, src, dst, body):
        kind, code = body[0], body[1]
        if kind == 129:
            return self.pong(src, dst, body)
        if kind == 134:
            return self.tell_ra(dst, body)
        if kind == 136:
            flags = [f for bit, f in ((0x80, "R"), (0x40, "S"), (0x20, "O"))
                     if body[4] & bit]
            return ["na", self.name(body[8:24]), "to=" + self.name(dst),
                    "flags=" + "".join(flags),
                    "mac=" + mac_text(body[26:32])]
        if kind == 2:
            mtu = int.from_bytes(body[4:8], "big")
            return ["unreach", "too-big", f"mtu={mtu}"] \
                + self.quoted(src, dst, body)
        if kind == 1:
            return ["unreach", UNREACH6[code]] + self.quoted(src, dst, body)
        return ["icmp6", f"type={kind}", f"code={code}"]

    def pong(self, src, dst, body):
        ident, seq = struct.unpack(">HH", body[4:8])
        return ["pong", self.name(src), "to=" + self.name(dst),
                f"ident={ident}", f"seq={seq}", f"size={len(body) - 8}"]

    def quoted(self, src, dst, body):
        """Who complains to whom about what."""
        quote = body[8:]
        v6 = quote[0] >> 4 == 6
        proto = quote[6] if v6 else quote[9]
        ends = (quote[8:24], quote[24:40]) if v6 else (quote[12:16],
                                                       quote[16:20])
        upper = quote[40 if v6 else (quote[0] & 15) * 4:]
        words = ["from=" + self.name(src), "to=" + self.name(dst)]
        if proto in (packets.TCP, packets.UDP):
            sport, dport = struct.unpack(">HH", upper[:4])
            return words + ["of=" + {6: "tcp", 17: "udp"}[proto],
                            self.end(ends[0], sport), self.end(ends[1], dport)]
        return words + ["of=ping", self.name(ends[0]), self.name(ends[1])]

    def tell_ra(self, dst, body):
        words = ["to=" + self.name(dst), f"hops={body[4]}",
                 f"lifetime={body[6] << 8 | body[7]}"]
        at = RA_LEN
        while at < len(body):
            kind, length = body[at], body[at + 1] * 8
            option = body[at:at + length]
            at += length
            if kind == 1:
                words.append("mac=" + mac_text(option[2:8]))
            elif kind == 3:
                words.append(f"prefix={self.name(option[16:32])}/{option[2]}")
            elif kind == 5:
                words.append(f"mtu={int.from_bytes(option[4:8], 'big')}")
            elif kind == 25:
                words.append("dns=" + self.name(option[8:24]))
        return ["ra"] + words

    def tell_tcp(self, ends, body):
        sport, dport, seq, ack = struct.unpack(">HHII", body[:12])
        head = (body[12] >> 4) * 4
        flags = "".join(f for i, f in enumerate(packets.TCP_FLAGS)
                        if body[13] & 1 << i)
        flags = "".join(sorted(flags, key="SFRPUAEC".index))
        known = self.flows.get(((ends[1], dport), (ends[0], sport)))
        if not known:
            return ["tcp", flags, f"{ends[0]}:{sport}", f"{ends[1]}:{dport}"]
        if "S" in flags:
            known[2] = seq
        data = body[head:]
        words = [known[0], flags, f"seq={relative(seq, known[2])}",
                 f"size={len(data)}",
                 f"win={struct.unpack('>H', body[14:16])[0]}"]
        if "A" in flags:
            words.append(f"ack={relative(ack, known[1])}")
        return words + tell_tcp_options(body[20:head], known[1]) + shown(data)


def relative(number, start):
    return (number - start) & 0xffffffff


def mac_text(raw):
    return ":".join(f"{b:02x}" for b in raw)


def shown(data):
    if 0 < len(data) <= SHOWN and all(32 <= b < 127 for b in data):
        return ["data=" + data.decode()]
    return []


def tell_tcp_options(options, isn):
    words, at = [], 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        kind, length = options[at], options[at + 1]
        value = options[at + 2:at + length]
        at += length
        if kind == 2:
            words.append(f"mss={int.from_bytes(value, 'big')}")
        elif kind == 3:
            words.append(f"ws={value[0]}")
        elif kind == 4:
            words.append("sackok")
        elif kind == 5:
            edges = [relative(e, isn) for e in
                     struct.unpack(f">{len(value) // 4}I", value)]
            blocks = zip(edges[::2], edges[1::2])
            words.append("sack=" + ",".join(f"{a}-{b}" for a, b in blocks))
    return words


def tell_dns(data):
    answers = struct.unpack(">H", data[6:8])[0]
    at, labels = 12, []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode())
        at += 1 + data[at]
    words = [".".join(labels)]
    if answers:
        raw = data[at + 5 + 12:]
        family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
        words.append("answer=" + socket.inet_ntop(family, raw))
    return words
