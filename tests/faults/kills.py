#!/usr/bin/env python3
"""Kills runs of cmsim that write into one directory at random moments; checks it after each kill.

Usage: kills.py CMSIM [--kills N] [--seed N]

Three writers with different seeds are always at work. Three of four get SIGKILL, the others
SIGTERM; half of them at any moment of their time, half within 3 ms after a temporary file was seen.
After each, the files are read under the lock: they are of one run, or there is no result. After
every tenth kill a run is left alone, and only its files are there, but for a partial result beside
them. Exit code 1 when violated.
"""

import argparse
import collections
import contextlib
import fcntl
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

from contract import BYSTANDER, launch, lay, look, mismatch, reference, run_command

SEEDS = range(1, 6)
WRITERS = 3
PAIR = {"result.json", "requests.csv"}
PARTIAL = "partial"  # what a run that was interrupted leaves beside a whole result


@contextlib.contextmanager
def locked(directory):
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def temporaries(directory):
    return {*os.listdir(directory)} - PAIR - {*BYSTANDER} - {PARTIAL}


class Victim:
    """A run, the signal it gets, and when."""

    def __init__(self, cmsim, out, draw, usual):
        self.signal = draw.choice([signal.SIGKILL] * 3 + [signal.SIGTERM])
        aimed = draw.random() < 0.5
        self.delay = draw.uniform(0, 0.003 if aimed else usual)
        self.out, self.seen = out, temporaries(out)
        self.process = launch(run_command(cmsim, out, "--seed", draw.choice(SEEDS), "--quiet"))
        self.since = None if aimed else time.monotonic()

    def ended(self):
        """Sends the signal when it is time; whether the run has ended."""
        if self.since is None and not temporaries(self.out) <= self.seen:
            self.since = time.monotonic()
        if self.since is not None and time.monotonic() - self.since >= self.delay:
            self.process.send_signal(self.signal)
            self.process.wait()
        return self.process.poll() is not None

    def judge(self, references, counts):
        """The problems of the directory and of the exit code."""
        code, said = self.process.returncode, self.process.communicate()[1].decode().strip()
        struck = code == -self.signal
        with locked(self.out):
            files = look(self.out)
        pair = {name: content for name, content in files.items() if name in PAIR}
        problems = [] if pair in references else mismatch(pair)  # a partial one is no reference
        if not struck and code not in ((0, 3) if self.signal == signal.SIGTERM else (0,)):
            problems.append(f"exit code {code}, said {said!r}")
        counts[self.signal.name if struck else "partial" if code == 3 else "ended before"] += 1
        counts["left a temporary file"] += struck and not temporaries(self.out) <= self.seen
        counts["without a result"] += "result.json" not in files
        counts["kills"] += struck
        return [f"after {self.signal.name if struck else 'its end'}: {text}" for text in problems]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cmsim", type=os.path.abspath)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cmsim, draw = options.cmsim, random.Random(options.seed)
    counts, violations, victims = collections.Counter(), collections.Counter(), []

    with tempfile.TemporaryDirectory(prefix="cmsim-kills-") as name:
        work, start = pathlib.Path(name), time.monotonic()
        references = [reference(cmsim, work / f"{seed}", "--seed", seed) for seed in SEEDS]
        usual = (time.monotonic() - start) / len(SEEDS) * 2  # they share the processors
        out, due = work / "D", 10
        lay(out, {})
        while counts["kills"] < options.kills:
            new = range(WRITERS - len(victims))
            victims += [Victim(cmsim, out, draw, usual) for _ in new]
            time.sleep(0.0003)
            for victim in [victim for victim in victims if victim.ended()]:
                victims.remove(victim)
                violations.update(victim.judge(references, counts))
            if counts["kills"] >= due:
                due += 10
                for victim in victims:
                    victim.process.kill()
                    victim.process.communicate()
                victims = []
                left = reference(cmsim, out, "--seed", SEEDS[0])
                left.pop(PARTIAL, None)
                if left != {**references[0], **BYSTANDER}:
                    violations[f"a run left alone left not just its own files: {sorted(left)}"] += 1
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    for violation, times in violations.most_common(20):
        print(f"VIOLATED  {times} times {violation}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
