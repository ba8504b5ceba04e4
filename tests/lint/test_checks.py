#!/usr/bin/python3
"""Show that the checks can fail: plant one fault at a time in a small tree.

usage: test_checks.py [COMPILER]
"""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else "cc"

GOOD = {
    "stack/CMakeLists.txt": "add_library(stack STATIC frame.c)\n",
    "stack/frame.h": "#ifndef F\n#define F\nint frame_len(void);\n#endif\n",
    "stack/frame.c": '/* Told by frame_len(). */\n#include "stack/frame.h"\n'
                     "int frame_len(void)\n{\n\treturn 1;\n}\n",
    "tapdev/CMakeLists.txt": "add_library(tapdev STATIC tapdev.c)\n",
    "tapdev/tapdev.h": "int tapdev_open(void);\n",
    "tapdev/tapdev.c": '#include "tapdev/tapdev.h"\n'
                       '#include "stack/frame.h"\n',
    "port/CMakeLists.txt": "add_library(port STATIC hostsock.c)\n",
    "port/hostsock.h": "int hostsock_new(void);\n",
    "port/hostsock.c": '#include "port/hostsock.h"\n'
                       "int hostsock_new(void)\n{\n"
                       "\treturn socket(AF_INET, 1, 0);\n}\n",
}


class TreeCase(unittest.TestCase):
    """Each test plants a fault and names the words that must report it."""

    def run_check(self, **files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**GOOD, **files}.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)),
                            exist_ok=True)
                with open(os.path.join(root, path), "w",
                          encoding="utf-8") as f:
                    f.write(text)
            return subprocess.run(
                [sys.executable, os.path.join(HERE, "check_tree.py"), root,
                 "--cc", COMPILER], text=True, capture_output=True)

    def assert_fault(self, words, path, text):
        result = self.run_check(**{path: text})
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn(words, result.stdout)
        self.assertTrue(result.stdout.startswith(path.split("/")[0]))

    def test_a_good_tree_passes(self):
        result = self.run_check()
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_stack_may_not_look_up(self):
        self.assert_fault("stack/ may not include port/hostsock.h",
                          "stack/bad.c", '#include "port/hostsock.h"\n')

    def test_stack_may_not_use_sockets(self):
        self.assert_fault("stack/ may not include <sys/socket.h>",
                          "stack/bad.c", "#include <sys/socket.h>\n")

    def test_tapdev_may_not_use_the_stack_itself(self):
        self.assert_fault("tapdev/ may not include stack/stack.h",
                          "tapdev/bad.c", '#include "stack/stack.h"\n')

    def test_only_stack_includes_lwip(self):
        self.assert_fault("only stack/ includes lwIP", "port/bad.c",
                          "#include <lwip/tcp.h>\n")

    def test_a_missing_header_is_seen(self):
        self.assert_fault("no such file", "stack/bad.c",
                          '#include "stack/gone.h"\n')

    def test_own_header_comes_first(self):
        self.assert_fault("must come first", "stack/frame.c",
                          '#include <stdio.h>\n#include "stack/frame.h"\n')

    def test_includes_form_no_cycle(self):
        self.assert_fault("includes itself", "stack/frame.h",
                          '#ifndef F\n#define F\n#include "stack/frame.h"\n'
                          "#endif\n")

    def test_only_hostsock_opens_inet_sockets(self):
        self.assert_fault("an inet socket belongs to", "port/bad.c",
                          "int f(int a)\n{\n\treturn socket(a, 1, 0);\n}\n")

    def test_unix_sockets_are_free(self):
        result = self.run_check(**{
            "port/ok.c": "int f(void)\n{\n\treturn socket(AF_UNIX, 1, 0);\n"
                         '}\n/* not socket(AF_INET */\n'})
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_a_long_file_is_seen(self):
        self.assert_fault("601 lines", "stack/bad.c", "\n" * 601)

    def test_a_head_that_names_the_dead_is_seen(self):
        self.assert_fault("names frame_gone()", "stack/frame.c",
                          '/* Told by frame_gone(). */\n'
                          '#include "stack/frame.h"\n')

    def test_a_second_library_in_a_folder_is_seen(self):
        self.assert_fault("wants one library", "stack/CMakeLists.txt",
                          "add_library(stack x.c)\nadd_library(more y.c)\n")

    def test_a_header_that_leans_on_others_is_seen(self):
        self.assert_fault("does not compile alone", "stack/bad.h",
                          "size_t bad_len(void);\n")


class SymbolCase(unittest.TestCase):
    """The same for the symbols of a library built on the spot."""

    def run_check(self, stem, symbol):
        with tempfile.TemporaryDirectory() as root:
            os.mkdir(os.path.join(root, "stack"))
            source = os.path.join(root, f"{stem}.c")
            library = os.path.join(root, "libstack.a")
            with open(source, "w", encoding="utf-8") as f:
                f.write(f"int {symbol}(void)\n{{\n\treturn 1;\n}}\n")
            subprocess.run([COMPILER, "-c", source, "-o", source + ".o"],
                           check=True)
            subprocess.run(["ar", "qc", library, source + ".o"], check=True)
            return subprocess.run(
                [sys.executable, os.path.join(HERE, "check_symbols.py"), root,
                 library], text=True, capture_output=True)

    def test_a_symbol_with_its_files_name_passes(self):
        self.assertEqual(self.run_check("frame", "frame_len").returncode, 0)

    def test_a_bare_name_is_seen(self):
        result = self.run_check("frame", "length")
        self.assertEqual(result.returncode, 1)
        self.assertIn("lacks its file's name", result.stdout)

    def test_a_name_like_lwips_is_seen(self):
        result = self.run_check("tcp_x", "tcp_x_len")
        self.assertEqual(result.returncode, 1)
        self.assertIn("begins like a library's", result.stdout)


if __name__ == "__main__":
    unittest.main()
