#!/usr/bin/env python3
"""check_layers.py catches each kind of violation, and nothing else."""
import pathlib
import tempfile
import unittest

import check_layers

PAGE = """
| room | may include | reserved library | what |
| --- | --- | --- | --- |
| `base` | - | - | units |
| `engine` | base | SimGrid | clock |

| other | table |
"""


class CheckLayers(unittest.TestCase):
    def found(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return list(check_layers.violations(root, check_layers.read_rules(PAGE)))

    def test_reads_the_table(self):
        self.assertEqual(check_layers.read_rules(PAGE), {
            "base": ({"base"}, set()), "engine": ({"engine", "base"}, {"SimGrid"})})

    def test_what_is_allowed(self):
        self.assertEqual(self.found({
            "src/engine/a.cpp": '#include "cmsim/base/units.hpp"\n#include <simgrid/s4u.hpp>\n',
            "include/cmsim/base/units.hpp": '#include <string>\n#include "cmsim/base/error.hpp"\n',
            "tests/package/main.cpp": '#include "cmsim/engine/x.hpp"\n'}), [])

    def test_a_room_above(self):
        self.assertEqual(self.found({"src/base/a.cpp": '#include "cmsim/engine/x.hpp"\n'}),
                         ["src/base/a.cpp: base may not include engine (cmsim/engine/x.hpp)"])

    def test_a_reserved_library(self):
        self.assertEqual(self.found({"tests/base/a_test.cpp": "  # include <simgrid/s4u.hpp>\n"}),
                         ["tests/base/a_test.cpp: SimGrid is not for base (simgrid/s4u.hpp)"])

    def test_a_room_that_is_not_in_the_table(self):
        self.assertEqual(len(self.found({"src/attic/a.cpp": '#include "cmsim/base/x.hpp"\n'})), 1)


if __name__ == "__main__":
    unittest.main()
