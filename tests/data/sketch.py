"""The text sources of the test frames. A file describes one exchange.

Lines, '#' starts a comment:

  name NAME ADDR          a name for an address or a number
  replay OPTION...        for the command, as `replay --mtu 1500`
  host RULE               a line of the host's script (port/script.h)
  flow NAME C:1000 R:80 [isn=N] [peer=N]
                          a TCP conversation, container first, and the first
                          sequence numbers
  TIME > WHAT...          the container sends a frame
  TIME < WHAT...          the other side sent one when this was captured; with
                          a script it only says what the container acknowledges
  = WORD...               what tapir answers (told.py), in order
  drop REASON [COUNT]     the frame above is counted so
  report LINE             is in the report of `tapir replay`

TIME is since the frame before: 0, +5ms, +2s, +100us. WHAT is one of

  arp request|probe|announce|reply ADDR [from=ADDR]
  ns TARGET, na TARGET, rs     neighbour and router discovery; [from=] [to=]
  dhcp discover|request|...    [requested=] [server=] [ciaddr=] [client=HEX]
  ping DST, pong DST           [ident=] [seq=] and what to carry
  udp SPORT DST:PORT           and what to carry
  dns SPORT DST name           [type=] [answer=]: to port 53, or from it
  icmp DST                     type= code= [rest=], about a packet by
                               of=udp|tcp R:PORT C:PORT, or the SYN of a flow
                               from the other side by of=FLOW
  ip DST                       proto= hex=: any other packet
  raw HEX                      a frame as it is
  FLOW FLAGS                   a segment of a TCP conversation; FLAGS as SA, PA, - for
                               none

To carry: data=TEXT, hex=, size=N (a pattern), dns=NAME (a query over TCP).
Of a segment: seq= and ack= (relative, and remembered: by default it goes on
where the last one stopped and acknowledges what is known), win=, urg=, doff=,
mss=, ws=, sackok, sack=FROM-TO,..., stamp=, opt=HEX.
Of any packet: from=, ttl=, tos=, id=, df, ihl=, version=, totlen=, ipopt=HEX,
ipsum=bad, sum=bad|open|N, frag=FROM-[TO] (a fragment with these bytes;
at=, more=0|1 make it lie), hop=HEX, route=HEX, dest=HEX, atomic, next=; of any
frame: eth.src=, eth.dst=, eth.type=, pad=N, cut=N, unfed (the replay passes
it over).
"""

import shlex
import struct

import packets
from packets import Options

CONTAINER_MAC = "02:00:00:00:00:01"
GATEWAY_MAC = "52:55:0a:00:02:02"
BROADCAST = b"\xff" * 6
NAMES = {
    "C": "10.0.2.100", "GW": "10.0.2.2", "DNS": "10.0.2.3",
    "R": "198.51.100.7",
    "C6": "fd00::64", "GW6": "fd00::2", "DNS6": "fd00::3",
    "LL": "fe80::1", "ROUTER": "fe80::2", "R6": "2001:db8::7",
}
FLAGS = ("df", "atomic", "lla", "sackok", "broadcast", "endless",
         "unfed")
ADDRESSES = ("from", "to", "requested", "server", "ciaddr", "giaddr")
UNITS = {"us": 1000, "ms": 1000 ** 2, "s": 1000 ** 3}
START = 1_700_000_000 * UNITS["s"]


def parse_time(text):
    if text == "0":
        return 0
    for unit, scale in UNITS.items():
        digits = text[1:-len(unit)]
        if text.startswith("+") and text.endswith(unit) and digits.isdigit():
            return int(digits) * scale
    raise ValueError(f"'{text}' is no time such as 0, +5ms, +2s")


class Flow:
    """A TCP conversation: who, and how far each side has come."""

    def __init__(self, container, remote, isn, peer):
        self.ends = (container, remote)  # each (address, port)
        self.isn = (isn, peer)
        self.next = [0, 0]
        self.acked = [0, 0]

    def segment(self, side, flags, options):
        """The bytes of a segment of @side: 0 the container, 1 the other."""
        me, you = self.ends[side], self.ends[1 - side]
        seq = options.number("seq", self.next[side])
        ack = options.number("ack", self.acked[side])
        start = max(seq - 1, 0)
        data = packets.payload(options, start)
        self.acked[side] = ack
        end = seq + len(data) + ("S" in flags) + ("F" in flags)
        if end > self.next[side] and "R" not in flags:
            self.next[side] = end
            self.acked[1 - side] = max(self.acked[1 - side], end)
        numbers = (self.isn[side] + seq,
                   self.isn[1 - side] + ack if "A" in flags else 0)
        extra = packets.tcp_options(options, self.isn[1 - side])
        return me[0], you[0], packets.tcp((me[1], you[1]), numbers, flags,
                                          data, extra, options)


class Sketch:
    """A text source. frames: (ns, bytes) of the capture. steps: what the
    output has to be, each ("fed", kind, line) or ("told", words,
    line)."""

    def __init__(self, path):
        self.path = path
        self.names = dict(NAMES)
        self.flows = {}
        self.options = []
        self.host = []
        self.frames = []
        self.steps = []
        self.drops = {}
        self.report = []
        self.now = START
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                self.where = f"{path}:{number}"
                try:
                    self.take_line(line)
                except (ValueError, KeyError, OSError, IndexError,
                        struct.error) as error:
                    raise SystemExit(f"{self.where}: {error!r}") from error

    def take_line(self, line):
        words = shlex.split(line, comments=True)
        if not words:
            return
        head, rest = words[0], words[1:]
        if head == "name":
            self.names[rest[0]] = rest[1]
        elif head == "replay":
            self.options += rest
        elif head == "host":
            self.host.append(" ".join(self.spelled(w) for w in rest))
        elif head == "flow":
            self.take_flow(rest)
        elif head == "=":
            self.steps.append(("told", rest, self.where))
        elif head == "drop":
            count = int(rest[1]) if len(rest) > 1 else 1
            name = "drop_" + rest[0]
            self.drops[name] = self.drops.get(name, 0) + count
        elif head == "report":
            self.report.append(line.split(None, 1)[1].rstrip())
        else:
            self.take_frame(head, rest)

    def address(self, word):
        return self.names.get(word, word)

    def endpoint(self, word):
        addr, _, port = word.rpartition(":")
        return self.address(addr.strip("[]")), int(port)

    def spelled(self, word):
        """A target of the script with its names resolved."""
        if word in self.names:
            return self.names[word]
        addr, colon, port = word.rpartition(":")
        if not colon or addr not in self.names:
            return word
        addr = self.names[addr]
        return f"[{addr}]:{port}" if ":" in addr else f"{addr}:{port}"

    def take_flow(self, words):
        name, container, remote = words[:3]
        options = self.parse_options(words[3:])
        self.flows[name] = Flow(self.endpoint(container),
                                self.endpoint(remote),
                                options.number("isn", 1000),
                                options.number("peer", 500000))

    def parse_options(self, words):
        pairs = [w.partition("=")[::2] for w in words]
        return Options([(k, self.address(v) if k in ADDRESSES else v)
                        for k, v in pairs])

    def take_frame(self, time, words):
        self.now += parse_time(time)
        side = {">": 0, "<": 1}[words[0]]
        plain = [w for w in words[2:] if "=" not in w and w not in FLAGS]
        options = self.parse_options(
            [w for w in words[2:] if "=" in w or w in FLAGS])
        frame = self.build(side, words[1], plain, options)
        unfed = options.flag("unfed")
        options.check_used()
        self.frames.append((self.now, frame))
        if side == 0 and not unfed:
            self.steps.append(("fed", words[1], self.where))

    def build(self, side, kind, words, options):
        macs = [packets.mac(CONTAINER_MAC), packets.mac(GATEWAY_MAC)]
        if side:
            macs.reverse()
        if kind in self.flows:
            src, dst, body = self.flows[kind].segment(side, words[0], options)
            src = options.text("from", self.address(src))
            return packets.ip_frame(src, dst, packets.TCP, body, options, macs)
        if kind == "raw":
            return bytes.fromhex("".join(words))
        if kind == "arp":
            return self.arp(words, options, macs)
        builder = getattr(self, "make_" + kind, None)
        if not builder:
            raise ValueError(f"'{kind}' is no kind of frame, and no flow")
        src, dst, proto, body = builder(side, words, options, macs)
        src = options.text("from", self.address(src))
        return packets.ip_frame(src, self.address(dst), proto, body, options,
                                macs)

    # One kind of frame each: (source, destination, protocol, bytes)

    def own(self, side, other):
        """Who speaks to @other if the line does not say."""
        v6 = packets.is_v6(self.address(other))
        if side:
            return self.names["R6" if v6 else "R"]
        return self.names["C6" if v6 else "C"]

    def arp(self, words, options, macs):
        act, addr = words[0], self.address(words[1])
        sender = options.text("from", self.address("C"))
        known = options.text("mac")
        mine = packets.mac(known) if known else macs[0]
        op, to, target_mac = 1, BROADCAST, bytes(6)
        if act == "probe":
            sender = "0.0.0.0"
        elif act == "announce":
            sender = addr
        elif act == "reply":
            op, to, target_mac = 2, macs[1], macs[1]
        elif act != "request":
            raise ValueError(f"arp {act}")
        return packets.ethernet(
            packets.ARP, packets.arp(op, mine, sender, target_mac, addr,
                                     options), options, (macs[0], to))

    def make_ns(self, side, words, options, macs):
        target = self.address(words[0])
        raw = packets.packed(target)
        group = packets.socket.inet_ntop(
            packets.socket.AF_INET6,
            b"\xff\x02" + bytes(9) + b"\x01\xff" + raw[13:])
        body = struct.pack(">BBHI", 135, options.number("code", 0), 0, 0) + raw
        if options.flag("lla"):
            body += packets.lla(1, macs[0])
        body += options.hex("opt") or b""
        return self.discovery("LL", options.text("to", group), body, options)

    def make_na(self, side, words, options, macs):
        target = self.address(words[0])
        body = struct.pack(">BBHI", 136, options.number("code", 0), 0,
                           options.number("flags", 0x20) << 24) \
            + packets.packed(target) + packets.lla(2, macs[0])
        body += options.hex("opt") or b""
        return self.discovery(target, options.text("to", "ff02::1"), body,
                              options)

    def make_rs(self, side, words, options, macs):
        body = struct.pack(">BBHI", 133, options.number("code", 0), 0, 0)
        if options.flag("lla"):
            body += packets.lla(1, macs[0])
        body += options.hex("opt") or b""
        return self.discovery("LL", options.text("to", "ff02::2"), body,
                              options)

    @staticmethod
    def discovery(src, dst, body, options):
        if options.text("ttl") is None:
            options.pairs.append(("ttl", "255"))
        return src, dst, packets.ICMP6, body

    def make_dhcp(self, side, words, options, macs):
        kind = words[0]
        chaddr = options.text("chaddr")
        body = packets.dhcp(kind, packets.mac(chaddr) if chaddr else macs[0],
                            options)
        return "0.0.0.0", options.text("to", "255.255.255.255"), \
            packets.UDP, packets.udp(68, 67, body, options)

    def make_ping(self, side, words, options, macs, reply=False):
        dst = self.address(words[0])
        v6 = packets.is_v6(dst)
        return self.own(side, dst), dst, \
            packets.ICMP6 if v6 else packets.ICMP, \
            packets.echo(v6, reply, options)

    def make_pong(self, side, words, options, macs):
        return self.make_ping(side, words, options, macs, True)

    def make_udp(self, side, words, options, macs):
        dst, port = self.endpoint(words[1])
        return self.own(side, dst), dst, packets.UDP, packets.udp(
            int(words[0]), port, packets.payload(options), options)

    def make_dns(self, side, words, options, macs):
        port, dst = int(words[0]), self.address(words[1])
        ports = (53, port) if side else (port, 53)
        return self.own(side, dst), dst, packets.UDP, packets.udp(
            *ports, packets.dns(options), options)

    def make_icmp(self, side, words, options, macs):
        dst = self.address(words[0])
        body = struct.pack(">BBHI", options.number("type"),
                           options.number("code", 0), 0,
                           options.number("rest", 0))
        body += packets.payload(options)
        quoted = options.text("of")
        if quoted:
            body += self.quote(quoted, words[1:])
        return self.own(side, dst), dst, \
            packets.ICMP6 if packets.is_v6(dst) else packets.ICMP, body

    def quote(self, what, ends):
        seq = 0
        if what in self.flows:
            flow = self.flows[what]
            (dst, dport), (src, sport) = flow.ends
            seq = flow.isn[1]
        else:
            (src, sport), (dst, dport) = map(self.endpoint, ends)
        if what == "udp":
            proto, body = packets.UDP, struct.pack(">HHHH", sport, dport, 8, 0)
        else:
            proto, body = packets.TCP, struct.pack(">HHI", sport, dport, seq)
        head = packets.header6 if packets.is_v6(src) else packets.header4
        return head(src, dst, proto, body, Options([]))

    def make_ip(self, side, words, options, macs):
        dst = self.address(words[0])
        return self.own(side, dst), dst, options.number("proto"), \
            packets.payload(options)
