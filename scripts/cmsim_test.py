#!/usr/bin/env python3
"""The module cmsim.py against the program. Usage: cmsim_test.py CMSIM"""
import os
import pathlib
import sys
import tempfile
import unittest

import cmsim

WORKLOAD = {"/workload": {"requests": 20, "prompt_length": 2048, "output_length": 20,
                          "arrivals": {"kind": "poisson", "rate": 20}}}


class Module(unittest.TestCase):
    def test_a_run_is_a_result_and_its_files(self):
        with tempfile.TemporaryDirectory() as place:
            result = cmsim.run("cloudmatrix384", WORKLOAD, "--timeseries", "1s", out=place)
            self.assertEqual(cmsim.value(result, "/requests/finished"), 20)
            self.assertIsNone(cmsim.value(result, "/window/no/such"))
            self.assertEqual(cmsim.value(cmsim.load(place), "/provenance/digest"),
                             cmsim.value(result, "/provenance/digest"))
            rows = cmsim.requests(place)
            self.assertEqual([row["id"] for row in rows], list(range(20)))
            self.assertIsInstance(rows[0]["ttft_s"], float)
            self.assertIsNone(rows[0]["reason"])
            self.assertGreater(len(cmsim.time_series(place)), 0)

    def test_a_sweep_is_its_points(self):
        with tempfile.TemporaryDirectory() as place:
            rows = cmsim.sweep("paper-decode", {"--batch": [8, 96]}, "--command", "step --phase decode",
                               out=pathlib.Path(place) / "study")
        self.assertEqual([row["params_--batch"] for row in rows], [8, 96])
        self.assertGreater(rows[1]["values_duration"], rows[0]["values_duration"])

    def test_a_mistake_is_what_cmsim_says(self):
        with self.assertRaises(cmsim.CmsimError) as caught:
            cmsim.step("paper-decode", "decode", {"/nothing": 1})
        self.assertEqual(caught.exception.code, 2)
        self.assertIn("/nothing", str(caught.exception))


if __name__ == "__main__":
    os.environ["CMSIM"] = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
