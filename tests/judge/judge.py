#!/usr/bin/env python3
"""Judges cmsim from outside: recomputes the results of random scenarios, and betters machines.

    judge.py CMSIM [--scenarios N] [--first SEED] [--jobs J] [--monotone M] [--keep DIR]

One line a failure: the seed, the field, our value, the program's, the command that shows it again.
Exit code 0: no failure.
"""
from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import pathlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import monotone
from benchmark_figures import BenchmarkFigures
from cases import Case, Refused, facts_of, run
from draw import draw
from formulas import fnv1a64
from ledger import Ledger
from monotone import Verdict
from part_figures import PartFigures
from request_figures import RequestFigures
from request_parts import RequestParts
from role_figures import RoleFigures
from service_figures import ServiceFigures
from system_figures import SystemFigures
from view import ROUNDED, Reading
from window_figures import WindowFigures

FIGURES = (RequestFigures, BenchmarkFigures, WindowFigures, RequestParts, RoleFigures, PartFigures,
           ServiceFigures, SystemFigures)
SHAPE_ERRORS = LookupError, TypeError, AttributeError  # a result without what it should have
SIDES = 0, -ROUNDED, ROUNDED
READINGS = [Reading(*sides) for sides in itertools.product(SIDES, repeat=3)]


def judgements(reading: Reading, case: Case, result: dict[str, Any]) -> Iterator[Ledger]:
    """The one ledger, after each part of the judgement."""
    ledger, facts = Ledger(result), facts_of(case.drawn)
    for figures in FIGURES:
        figures(result, case.rows, facts, reading, ledger).judge()
        yield ledger
    for i, _ in enumerate(result.get("files", [])):
        ledger.same(f"files.{i}.name", "requests.csv")
        ledger.same(f"files.{i}.bytes", len(case.csv))
        ledger.same(f"files.{i}.fnv1a64", f"{fnv1a64(case.csv):016x}")
    ledger.failures.extend(ledger.unjudged())
    yield ledger


def judge_by(reading: Reading, case: Case, result: dict[str, Any]) -> Ledger:
    *_, ledger = judgements(reading, case, result)
    return ledger


def judge_case(case: Case) -> tuple[Ledger, Reading]:
    """By the reading that leaves the fewest failures."""
    best = judge_by(READINGS[0], case, case.result), READINGS[0]
    for reading in READINGS[1:]:
        # A reading is about the window alone.
        if not any(failure.field.startswith(("window.", "load.")) for failure in best[0].failures):
            break
        ledger = judge_by(reading, case, case.result)
        if len(ledger.failures) < len(best[0].failures):
            best = ledger, reading
    return best


def again(cmsim: str, **options: int) -> str:
    words = " ".join(f"--{key} {value}" for key, value in options.items())
    return f"   [{sys.argv[0]} {cmsim} {words}]"


def judge_seed(cmsim: str, seed: int, keep: str | None) -> Verdict:
    """One scenario; of a field with many elements the first failure is told."""
    with tempfile.TemporaryDirectory() as scratch:
        where = pathlib.Path(keep, str(seed)) if keep else pathlib.Path(scratch)
        where.mkdir(parents=True, exist_ok=True)
        try:
            ledger, _ = judge_case(run(cmsim, draw(seed), where))
            failures = [str(failure) for failure in ledger.failures]
        except Refused as refusal:
            failures = [str(refusal)]
        except SHAPE_ERRORS as error:
            failures = [f"a result of another shape: {error!r}"]
    first = {re.sub(r"\d+", "#", failure.split(":")[0]): failure for failure in reversed(failures)}
    command = again(cmsim, scenarios=1, first=seed, monotone=0)
    return Verdict([f"seed {seed}: {failure}{command}" for failure in first.values()])


def judge_machines(cmsim: str, seed: int) -> Verdict:
    verdict = monotone.judge_pair(cmsim, seed)
    command = again(cmsim, scenarios=0, first=seed, monotone=1)
    return Verdict([f"pair {seed}: {failure}{command}" for failure in verdict.failures],
                   f"pair {seed}: {verdict.longer}{command}" if verdict.longer else "")


class Progress:
    """How far it is and how long it will take; on a terminal only."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.start = total, 0, time.monotonic()

    def step(self) -> None:
        self.done += 1
        if sys.stderr.isatty():
            left = (time.monotonic() - self.start) / self.done * (self.total - self.done)
            end = "\n" if self.done == self.total else ""
            print(f"\r{self.done}/{self.total}, {left:.0f} s left ", end=end, file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cmsim")
    parser.add_argument("--scenarios", type=int, default=200)
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="of SEED, SEED + 1, ...")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--monotone", type=int, default=60, metavar="M", help="pairs of machines")
    parser.add_argument("--keep", metavar="DIR", help="keep scenarios and outputs in DIR/SEED")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.scenarios)
    pairs = range(options.first, options.first + options.monotone)
    progress, failures, longer = Progress(len(seeds) + len(pairs)), 0, 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        work = [pool.submit(judge_seed, options.cmsim, seed, options.keep) for seed in seeds]
        work += [pool.submit(judge_machines, options.cmsim, seed) for seed in pairs]
        for future in work:
            verdict = future.result()
            for line in [*verdict.failures, *([verdict.longer] if verdict.longer else [])]:
                print(line, flush=True)
            failures += len(verdict.failures)
            longer += bool(verdict.longer)
            progress.step()
    print(f"{len(seeds)} scenarios and {len(pairs)} pairs of machines: {failures} failures; "
          f"{longer} runs took longer on the better machine, which a schedule may")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
