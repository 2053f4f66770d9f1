#!/usr/bin/env python3
"""Opens pages of `cmsim report` in a headless Chromium and uses them: charts, theme, keyboard, filter.

Usage: browser.py CMSIM. Exit code 77 (skipped) where there is no chromium.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SCENARIO = HERE.parents[1] / "workloads/scenarios/cloudmatrix384.json"
WORKLOAD = ('/workload={"requests": 60, "prompt_length": 2000, "output_length": 50, '
            '"arrivals": {"kind": "poisson", "rate": 20}}')
NAME = "it's <b>\"x\"<"  # of a run; nothing of it may become markup
LISTEN = ("<script>window.pageErrors = [];"
          "addEventListener('error', (event) => pageErrors.push(event.message));"
          "console.error = console.warn = (...words) => pageErrors.push(words.join(' '));"
          "addEventListener('securitypolicyviolation', (event) => pageErrors.push(event.blockedURI));</script>")


def run(words, **more):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, **more)


def used(chromium, page, width):
    """What the probe finds on the page."""
    text = page.read_text(encoding="utf-8").replace("<head>", "<head>" + LISTEN, 1)
    probe = (HERE / "browser_probe.js").read_text(encoding="utf-8")
    probed = page.with_suffix(f".{width}.html")
    probed.write_text(text.replace("</body>", f"<script>{probe}</script></body>", 1), encoding="utf-8")
    dom = run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},900",
               "--dump-dom", probed.as_uri()], timeout=60).stdout
    found = re.search(r'id="found">(.*?)</script>', dom, re.S)
    assert found, f"the page did not answer: {dom[-2000:]}"
    return json.loads(found[1])


def check(found, views):
    assert found["errors"] == [], found["errors"]
    assert list(found["views"]) == views, found["views"]
    assert found["around"] == views[0] and found["end"] == views[-1], found
    assert f"view={views[-1]}" in found["fragment"], found["fragment"]
    for name, view in found["views"].items():
        assert view["charts"] == view["drawn"] == view["labelled"], (name, view)
        assert view["overflow"] <= 0, (name, view)
    labels, themes, grounds = zip(*found["themes"])
    assert labels == ("Theme: light", "Theme: dark", "Theme: auto"), labels
    assert themes[:2] == ("light", "dark") and grounds[0] != grounds[1], found["themes"]


def main():
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("skipped: there is no chromium (apt-get install chromium)")
        sys.exit(77)
    cmsim = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as directory:
        here = pathlib.Path(directory)
        run([cmsim, "run", SCENARIO, "--set", WORKLOAD, "--timeseries", "100ms", "--out", NAME], cwd=here)
        run([cmsim, "sweep", SCENARIO, "--set", WORKLOAD, "--vary", "/network=analytic,hose",
             "--seeds", "1..2", "--out", "study"], cwd=here)
        run([cmsim, "report", NAME, "-o", "run.html"], cwd=here)
        run([cmsim, "report", "study", "-o", "study.html"], cwd=here)

        found = used(chromium, here / "run.html", 1024)
        check(found, ["overview", "latency", "groups", "time", "steps", "machine", "provenance"])
        assert found["title"] == NAME, found["title"]
        charts = {name: view["charts"] for name, view in found["views"].items()}
        assert charts["latency"] == 5 and charts["time"] >= 7 and charts["steps"] == 4, charts
        assert found["views"]["machine"]["drawings"] == 1, found["views"]
        assert found["zoom"] == [True, False, True], found["zoom"]
        assert found["table"] == 60 and found["files"][0].endswith(".csv"), found

        found = used(chromium, here / "study.html", 600)
        check(found, ["cells", "points", "pareto", "axes", "provenance"])
        assert found["views"]["axes"]["charts"] >= 9, found["views"]
        counts = found["filter"]
        assert (counts["all"], counts["seed"], counts["both"], counts["none"]) == (4, 2, 1, 0), counts
        assert "q=seed" in counts["fragment"], counts
        assert found["sorted"] == ["descending", "3"], found["sorted"]
        assert found["pair"][1:3] == ["point 3", "point 2"], found["pair"]
    print("browser: a run and a study, every view")


if __name__ == "__main__":
    main()
