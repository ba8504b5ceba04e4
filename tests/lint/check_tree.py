#!/usr/bin/python3
"""Hold the source tree to the house rules that no compiler checks.

usage: check_tree.py ROOT [--lwip DIR] [--cc COMPILER]

Prints one line for each fault, `file:line: what`, and exits 1 if there is any.
"""

import argparse
import os
import re
import subprocess
import sys

FOLDERS = ("stack", "tapdev", "pcap", "port")
# What an adapter may know of the stack: the shared words, no behaviour.
WORDS = tuple(f"stack/{w}.h" for w in
              ("addr", "chunk", "container_of", "fail", "frame", "nsec",
               "siphash", "wire"))
MAY_INCLUDE = {
    "stack": ("stack/", "lwip/"),
    "tapdev": WORDS + ("tapdev/",),
    "pcap": WORDS + ("pcap/",),
    "port": ("stack/", "tapdev/", "pcap/", "port/"),
    "port/lwip": ("port/lwip/", "lwip/"),
}
# The stack knows nothing of sockets, files and clocks.
NOT_IN_STACK = ("sys/socket.h", "sys/epoll.h", "sys/ioctl.h", "time.h",
                "sys/time.h", "unistd.h", "fcntl.h", "poll.h")
# A call and the only places that may make it.
OWNERS = (
    (r"\bsocket\(\s*(?!AF_UNIX|AF_NETLINK|AF_PACKET)", "an inet socket",
     ("port/hostsock.c", "tapdev/lane_serve.c")),
    (r"\bsetns\(", "setns()", ("tapdev/",)),
    (r"\bclock_gettime\(", "the clock", ("port/loop.c",)),
)
MAX_LINES = 600

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
COMMENT_OR_STRING = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


class Tree:
    """The sources below @root and the faults found in them."""

    def __init__(self, root):
        self.root = root
        self.faults = []
        self.text = {}
        for folder in FOLDERS + ("tests",):
            for where, _, names in os.walk(os.path.join(root, folder)):
                for name in sorted(names):
                    if name.endswith((".c", ".h")):
                        path = os.path.join(where, name)
                        rel = os.path.relpath(path, root)
                        with open(path, encoding="utf-8") as f:
                            self.text[rel] = f.read()
        self.code = {path: strip(text) for path, text in self.text.items()}

    def fault(self, path, line, what):
        self.faults.append(f"{path}:{line}: {what}")

    def includes(self, path):
        """Yield (line, quoted?, name) of each #include of @path."""
        for line, text in enumerate(self.text[path].split("\n"), 1):
            match = INCLUDE.match(text)
            if match:
                yield line, match.group(1) == '"', match.group(2)


def strip(text):
    """Blank comments and the insides of literals, keeping the lines."""
    def blank(match):
        word = match.group(0)
        if word[0] in "\"'":
            return word[0] + word[0]
        return "\n" * word.count("\n")
    return COMMENT_OR_STRING.sub(blank, text)


def folder_of(path):
    if path.startswith("port/lwip/"):
        return "port/lwip"
    return path.split("/")[0]


def check_layers(tree):
    for path in tree.text:
        folder = folder_of(path)
        if folder == "tests":
            continue
        for line, quoted, name in tree.includes(path):
            if name.startswith(("lwip/", "netif/")) and folder not in (
                    "stack", "port/lwip"):
                tree.fault(path, line, f"{name}: only stack/ includes lwIP")
            elif quoted and not name.startswith(MAY_INCLUDE[folder]):
                tree.fault(path, line, f"{folder}/ may not include {name}")
            elif folder == "stack" and name in NOT_IN_STACK:
                tree.fault(path, line, f"stack/ may not include <{name}>")
            elif quoted and not name.startswith("lwip/") \
                    and name not in tree.text:
                tree.fault(path, line, f"{name}: no such file")


def check_own_header_first(tree):
    for path in tree.text:
        own = path[:-2] + ".h"
        if not path.endswith(".c") or own not in tree.text:
            continue
        first = next(tree.includes(path), (1, True, "nothing"))
        if first[2] != own:
            tree.fault(path, first[0], f"{own} must come first")


def check_cycles(tree):
    edges = {path: [name for _, quoted, name in tree.includes(path)
                    if quoted and name in tree.text]
             for path in tree.text if path.endswith(".h")}
    done = set()

    def walk(path, trail):
        if path in trail:
            loop = trail[trail.index(path):] + [path]
            tree.fault(path, 1, "includes itself: " + " -> ".join(loop))
        elif path not in done:
            for name in edges.get(path, ()):
                walk(name, trail + [path])
            done.add(path)

    for path in edges:
        walk(path, [])


def check_owners(tree):
    for path, code in tree.code.items():
        if folder_of(path) == "tests":
            continue
        for pattern, what, owners in OWNERS:
            if path.startswith(owners):
                continue
            for match in re.finditer(pattern, code):
                line = code.count("\n", 0, match.start()) + 1
                tree.fault(path, line, f"{what} belongs to "
                           + " or ".join(owners))


def check_size(tree):
    for path, text in tree.text.items():
        lines = text.count("\n")
        if lines > MAX_LINES:
            tree.fault(path, lines, f"{lines} lines, {MAX_LINES} at most")


def check_named_functions(tree, lwip):
    """A file head that explains itself by name() must not name the dead."""
    known = set()
    for code in tree.code.values():
        known.update(re.findall(r"\b\w+\b", code))
    for where, _, names in os.walk(os.path.join(lwip, "src") if lwip else ""):
        for name in names:
            if name.endswith((".c", ".h")):
                with open(os.path.join(where, name), encoding="utf-8",
                          errors="replace") as f:
                    known.update(re.findall(r"\b\w+\b", f.read()))
    for path, text in tree.text.items():
        head = re.match(r"\s*/\*.*?\*/", text, re.S)
        for name in re.findall(r"\b([a-z]\w*)\(\)", head[0] if head else ""):
            if name not in known:
                tree.fault(path, 1, f"the file head names {name}(), "
                           "which does not exist")


def check_targets(tree):
    """One CMake target a folder, named after it."""
    for folder in FOLDERS:
        path = f"{folder}/CMakeLists.txt"
        try:
            with open(os.path.join(tree.root, path), encoding="utf-8") as f:
                text = f.read()
        except FileNotFoundError:
            if any(p.startswith(folder + "/") for p in tree.text):
                tree.fault(path, 1, "missing")
            continue
        libraries = re.findall(r"add_library\(\s*(\w+)", text)
        if libraries != [folder]:
            tree.fault(path, 1, f"wants one library '{folder}', has "
                       + (", ".join(libraries) or "none"))


def check_headers_alone(tree, compiler, lwip):
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-w",
             "-iquote", "."]
    if lwip:
        flags += ["-isystem", os.path.join(lwip, "src/include"),
                  "-isystem", os.path.join(tree.root, "port/lwip")]
    for path in sorted(tree.text):
        # Pieces of lwIP's own headers: they come with what lwIP sets up
        if not path.endswith(".h") or folder_of(path) == "port/lwip":
            continue
        source = f'#include "{path}"\nint the_unit_is_not_empty;\n'
        result = subprocess.run([compiler, *flags, "-x", "c", "-"],
                                input=source, text=True, capture_output=True,
                                cwd=tree.root)
        if result.returncode != 0:
            errors = [e for e in result.stderr.split("\n") if "error:" in e]
            tree.fault(path, 1, "does not compile alone: "
                       + (errors or [result.stderr])[0])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--lwip", type=os.path.abspath)
    parser.add_argument("--cc", default="cc")
    args = parser.parse_args()
    tree = Tree(os.path.abspath(args.root))
    check_layers(tree)
    check_own_header_first(tree)
    check_cycles(tree)
    check_owners(tree)
    check_size(tree)
    check_named_functions(tree, args.lwip)
    check_targets(tree)
    check_headers_alone(tree, args.cc, args.lwip)
    print("\n".join(tree.faults) or f"{len(tree.text)} files, no fault")
    return 1 if tree.faults else 0


if __name__ == "__main__":
    sys.exit(main())
