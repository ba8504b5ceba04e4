#!/usr/bin/python3
"""A web server as package archives have it, for the tests.

usage: webd.py PORT

Serves any path `/fileN`: N hundred thousand bytes of the pattern. Keeps
connections open (HTTP/1.1), gives ranges, takes what is PUT to it, answers 404
to every other path. Prints a line per request, with the client's address and
port.
"""

import http.server
import re
import socket
import socketserver
import sys

import pattern

UNIT = 100000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = re.fullmatch(r"/file([1-9][0-9]*)", self.path)
        if not found:
            self.say(404, 0)
            return
        size = int(found[1]) * UNIT
        asked = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)",
                             self.headers.get("Range", ""))
        if not asked:
            self.say(200, size)
            self.send_pattern(0, size)
            return
        first, last = int(asked[1]), int(asked[2] or size - 1)
        self.say(206, last + 1 - first,
                 f"bytes {first}-{last}/{size}")
        self.send_pattern(first, last + 1)

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        while left and (data := self.rfile.read(min(left, 1 << 16))):
            left -= len(data)
        self.say(201, 0)

    def say(self, status, length, content_range=None):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Type", "application/octet-stream")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()

    def send_pattern(self, start, end):
        while start < end:
            data = pattern.piece(start, min(1 << 18, end - start))
            self.wfile.write(data)
            start += len(data)

    def log_message(self, form, *args):
        print(*self.client_address[:2], form % args, flush=True)


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

    def server_bind(self):
        """Without asking a resolver for this machine's name."""
        self.server_name, self.server_port = "www.test", self.server_address[1]
        socketserver.TCPServer.server_bind(self)


def main():
    Server(("::", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
