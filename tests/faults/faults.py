#!/usr/bin/env python3
"""Fails every write, rename, pipe and signal point of cmsim's outputs, one at a time.

Usage: faults.py CMSIM INJECT [--all] [--only TEXT]
  CMSIM    the program
  INJECT   the library made of inject.c, which says what a point is
  --all    every error at every point; without it those that are likely there
  --only   the cases whose name holds TEXT

A sweep counts the points of a good run, then repeats the run from the same state of the directory,
once per point and fault. Exit code 1 when a promise (contract.py) was broken.
"""

import argparse
import collections
import errno
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import situations
from contract import (BYSTANDER, Report, expect_complaint, finish, launch, lay, look, mismatch,
                      reference, run_command, state)

LIKELY = {
    "access": ["EACCES"],
    "mkdir": ["ENOSPC", "EACCES"],
    "open": ["EACCES", "EMFILE"],
    "lock": ["ENOLCK"],
    "create": ["ENOSPC", "EACCES"],
    "write": ["ENOSPC", "EIO", "EDQUOT"],
    "sync": ["EIO"],
    "truncate": ["EIO"],
    "close": ["EIO", "EDQUOT"],
    "unlink": ["EIO", "EACCES"],
    "rename": ["EIO", "EACCES"],
    "link": ["EIO"],
}
EVERY = ["EACCES", "EIO", "ENOSPC", "EDQUOT", "EROFS", "EPERM", "ENOMEM", "EMFILE"]
OF_STREAMS = ["ENOSPC", "EIO", "EPIPE"]
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGKILL]

Point = collections.namedtuple("Point", "number operation path")


class Sweep:
    """One command that writes into ROOT/x/D, with every fault at every point.

    `stale` are temporary files of killed runs, which lie there before.
    """

    def __init__(self, report, inject, root, argv, old, new, head, stale=()):
        self.report, self.inject, self.root, self.argv = report, inject, root, argv
        self.out, self.old, self.new, self.head = root / "x" / "D", old, new, head
        self.stale = {name: b"half" for name in stale}
        self.seen = set()  # temporary files that killed runs left
        self.is_pair = len(new) > 1  # a lone file has no lock, and a signal may end its writing

    def reset(self):
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        if self.old:
            lay(self.out, {**self.old, **self.stale})

    def run(self, fault=""):
        settings = {"CMSIM_FAULT": fault, "CMSIM_FAULT_DIR": self.root, "LD_PRELOAD": self.inject,
                    "CMSIM_FAULT_LOG": self.root.with_suffix(".log")}
        return finish(launch(self.argv, env={**os.environ, **settings}))

    def sweep(self, errors, signals):
        self.reset()
        self.good = self.run()
        found = state(self.out, self.old, self.new, self.head)
        if self.good.code != 0 or found != ("new", set()):
            self.report.case(self.root.name, "none", f"{self.root.name} without a fault",
                             lambda: [f"{self.good} left {found}"])
            return
        log = self.root.with_suffix(".log").read_text().splitlines()
        points = [Point(int(n), *rest) for n, *rest in (line.split(" ", 2) for line in log)]
        self.gone = self.place(points, "unlink")
        self.renamed = self.place(points, "rename")
        for point in points:
            stream = point.path in situations.STREAMS
            for error in OF_STREAMS if stream else errors.get(point.operation, EVERY):
                self.fault(point, "errno", getattr(errno, error), error, self.after_error)
            if point.operation == "write":
                self.fault(point, "short", 0, "", self.after_short)
            for number in signals:
                for kind in ("before", "after"):
                    self.fault(point, kind, number, number.name, self.after_signal)

    def place(self, points, operation):
        """The number of the point where the head is unlinked or renamed; past all if none is."""
        wanted = (operation, str(self.out / self.head))
        return next((p.number for p in points if (p.operation, p.path) == wanted), len(points) + 1)

    def fault(self, point, kind, value, label, after):
        def judge():
            self.reset()
            return after(point, kind, value, self.run(f"{point.number}:{kind}:{int(value)}"))
        sweep, what = self.root.name, point.operation
        file = re.sub(r"\d{3,}", "N", pathlib.Path(point.path).name)  # without a process id
        group = f"{sweep}: {what} {file if file in situations.STREAMS else ''}"
        column = label if label.startswith("SIG") else kind
        name = f"{sweep} {point.number} {what} {file} {kind} {label}"
        self.report.case(group, column, name.strip(), judge)

    def when(self, completed):
        """The state of the directory when only the calls up to this one were made."""
        if completed >= self.renamed:
            return "new"
        return "none" if self.old and completed >= self.gone else "old"

    def expect_state(self, *wanted, extra=()):
        """Problems unless the directory is in one of these states, with only the `extra` files."""
        found, leftovers = state(self.out, self.old, self.new, self.head)
        if found == "none" and not self.old:
            found = "old"  # there never was a result
        problems = [] if found in wanted else [f"the directory is {found}, not {wanted}"]
        if self.old and not BYSTANDER.items() <= look(self.out).items():
            problems.append("the bystander was touched")
        left = leftovers - {*extra}
        return problems + ([f"left behind {sorted(left)}"] if left else [])

    def after_error(self, point, _, error, outcome):
        if point.path == "stderr":
            problems = [] if outcome.code == 0 else [f"exit code {outcome.code}, not 0"]
            return problems + self.expect_state("new")
        if point.path == "stdout":
            return expect_complaint(outcome, 3, "standard output") + self.expect_state("new")
        stale = point.operation == "unlink" and pathlib.Path(point.path).name not in self.new
        if outcome.code == 0 and (stale or point.operation in ("open", "lock")):
            # Without a lock, or without knowing what lies there, the files can still be written.
            return self.expect_state("new", extra=self.stale)
        code = 2 if point.operation == "access" else 3
        problems = expect_complaint(outcome, code, str(self.root), os.strerror(error))
        wanted = dict.fromkeys(["old", self.when(point.number - 1)])
        return problems + self.expect_state(*wanted, extra=self.stale)

    def after_short(self, _point, _kind, _value, outcome):
        problems = [] if outcome == self.good else [f"not the outcome of the good run: {outcome}"]
        return problems + self.expect_state("new")

    def after_signal(self, point, kind, number, outcome):
        now = self.when(point.number if kind == "after" else point.number - 1)
        _, left = state(self.out, self.old, self.new, self.head)
        if number == signal.SIGKILL:
            self.seen |= left
            now = "new" if point.path in situations.STREAMS else now
            problems = self.expect_state(now, extra=left)
            again = self.run()
            problems += [] if again.code == 0 else [f"the next run ended with {again.code}"]
            return problems + self.expect_state("new", extra=() if self.is_pair else left)
        if outcome.code not in (0, 3, -number):
            return [f"exit code {outcome.code}"]
        committing = self.is_pair and point.operation not in ("access", "mkdir", "open", "lock")
        if outcome.code != -number or committing:
            return self.expect_state("new")
        return self.expect_state("old", "new", extra=() if self.is_pair else left)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cmsim", type=os.path.abspath)
    parser.add_argument("inject", type=os.path.abspath)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    cmsim, report = options.cmsim, Report(options.only)
    errors = {} if options.all else LIKELY

    with tempfile.TemporaryDirectory(prefix="cmsim-faults-") as name:
        work = pathlib.Path(name).resolve()

        def sweep(name, command, old, new, head, signals, stale=()):
            root = work / name
            argv = command(root / "x" / "D")
            one = Sweep(report, options.inject, root, argv, old, new, head, stale)
            one.sweep(errors, signals)
            return one

        seeds = {n: reference(cmsim, work / f"seed {n}", "--seed", n) for n in range(1, 7)}
        old, new = seeds[1], seeds[2]
        report.case("good run", "none", "good run", lambda: mismatch(new))

        def run(out):
            return run_command(cmsim, out, "--seed", 2)
        killed = sweep("run", run, old, new, "result.json", SIGNALS)
        sweep("run anew", run, {}, new, "result.json", SIGNALS if options.all else [])
        sweep("run after kills", run, old, new, "result.json", [], sorted(killed.seen)[:2])
        sweep("run --json", lambda out: [*run(out), "--json"], old, new, "result.json", [])

        trace = work / "made" / "t.jsonl"
        trace.parent.mkdir()
        synthesize = [cmsim, "trace", "synthesize", "--requests", "500", "--out"]
        subprocess.run([*synthesize, trace], check=True, capture_output=True)
        old_trace, new_trace = {"t.jsonl": b"old"}, look(trace.parent)
        sweep("synthesize", lambda out: [*synthesize, out / "t.jsonl"], old_trace, new_trace,
              "t.jsonl", SIGNALS)
        sweep("convert", lambda out: [cmsim, "trace", "convert", trace, "--out", out / "t.jsonl"],
              old_trace, new_trace, "t.jsonl", [])

        situations.streams(report, cmsim, work, new)
        situations.refusals(report, cmsim, work, old)
        situations.signals(report, cmsim, work, old)
        situations.writers(report, cmsim, work, seeds)
    report.table()
    if report.violated.total():
        print(f"one case again: faults.py {cmsim} {options.inject} --only 'NAME'")
    return 1 if report.violated.total() else 0


if __name__ == "__main__":
    sys.exit(main())
