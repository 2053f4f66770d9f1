#!/usr/bin/env python3
"""Sweeps through a real Slurm: the same bytes as here, arrays in chunks, a node lost, Ctrl-C.

    slurm.py CMSIM

Exit code 0: all hold; 77: there is no Slurm to test with.
"""
from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from cluster import Cluster, missing

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIO = str(ROOT / "workloads/scenarios/cloudmatrix384.json")
QUICK = ('/workload={"requests": 20, "prompt_length": 2048, "output_length": 50, '
         '"arrivals": {"kind": "poisson", "rate": 20}}')
# Long enough for a node to be lost, or the study interrupted, while a point runs.
BRIEF = ("--set", "/workload/max_requests=20000")
TRACE = str(ROOT / "workloads/traces/r1-like.jsonl.gz")


class Sweep:
    def __init__(self, cmsim: str, here: pathlib.Path) -> None:
        self.cmsim, self.here = cmsim, here

    def command(self, out: str, *words: str) -> list[str]:
        return [self.cmsim, "sweep", SCENARIO, "--out", out, *words]

    def run(self, out: str, *words: str, environment=None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(out, *words), cwd=self.here, env=environment,
                              capture_output=True, text=True, timeout=300)

    def bytes_of(self, out: str) -> dict[str, bytes]:
        """All that a study keeps but what it cost, which differs from run to run."""
        kept = {}
        for file in sorted((self.here / out).rglob("*")):
            if file.is_file() and file.name not in ("point.json", "costs.csv"):
                kept[str(file.relative_to(self.here / out))] = file.read_bytes()
        return kept

    def ended(self, out: str) -> int:
        return len(list((self.here / out / "points").glob("*/point.json")))


def expect(truth: bool, what: str) -> None:
    if not truth:
        raise AssertionError(what)


def same_bytes_in_chunks(sweep: Sweep, cluster: Cluster) -> None:
    """Five parts are two arrays where the largest is three; a point that fails fails here too."""
    (sweep.here / "bad.jsonl").write_text('{"timestamp": 0}\n')  # seen when the point runs
    words = ["--set", "/horizon=1s", "--trace", TRACE, "--trace", "bad.jsonl",
             "--vary", "/slo/ttft=1s,2s,3s", "--metric", "ttft"]
    local = sweep.run("local", *words)
    expect(local.returncode == 4, f"exit code {local.returncode} here: {local.stderr}")
    slurm = sweep.run("slurm", *words, "--executor", "slurm", "--tasks", "5",
                      environment=cluster.environment)
    expect(slurm.returncode == 4, f"exit code {slurm.returncode} through Slurm: {slurm.stderr}")
    expect(slurm.stdout == local.stdout, "another table")
    expect(sweep.bytes_of("slurm") == sweep.bytes_of("local"), "other files")
    expect(sweep.ended("slurm") == 6, "points are missing")


def what_a_lost_node_had_runs_again(sweep: Sweep, cluster: Cluster) -> None:
    words = [*BRIEF, "--vary", "/slo/ttft=1s,2s,3s", "--seeds", "1..2"]
    local = sweep.run("whole", *words)
    command = sweep.command("lost", *words, "--executor", "slurm")
    running = subprocess.Popen(command, cwd=sweep.here, env=cluster.environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    cluster.wait(lambda: sweep.ended("lost") >= 1 and cluster.fail_node("n2", sweep.cmsim),
                 "point running on the second node")
    out, err = running.communicate(timeout=300)
    expect(running.returncode == 0, f"exit code {running.returncode}: {err}")
    expect("submitted again" in err, f"no part was lost: {err}")
    expect(out == local.stdout, "another table")
    expect(sweep.bytes_of("lost") == sweep.bytes_of("whole"), "other files")


def an_interrupt_cancels_the_jobs(sweep: Sweep, cluster: Cluster) -> None:
    words = [*BRIEF, "--vary", "/slo/ttft=1s,2s", "--seeds", "1..2", "--executor", "slurm"]
    running = subprocess.Popen(sweep.command("cut", *words), cwd=sweep.here, text=True,
                               env=cluster.environment, stderr=subprocess.PIPE)
    cluster.wait(lambda: sweep.ended("cut") >= 1, "point")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    expect(running.returncode == 3, f"exit code {running.returncode}: {err}")
    expect("--resume" in err, f"it does not say how to go on: {err}")
    cluster.wait(lambda: not cluster.say("squeue", "-h", "-t", "PD,R").strip(), "empty queue")
    done = sweep.run("cut", *words, "--resume", environment=cluster.environment)
    expect(done.returncode == 0 and sweep.ended("cut") == 4, f"not resumed: {done.stderr}")


def no_slurm_is_said(sweep: Sweep) -> None:
    (sweep.here / "none.conf").touch()  # where there is no file, scontrol looks again for a minute
    nowhere = {"PATH": "/usr/bin:/bin", "SLURM_CONF": str(sweep.here / "none.conf")}
    done = sweep.run("none", "--set", QUICK, "--executor", "slurm", environment=nowhere)
    expect(done.returncode == 3, f"exit code {done.returncode}: {done.stderr}")
    expect("scontrol" in done.stderr, done.stderr)


def main() -> int:
    cmsim = str(pathlib.Path(sys.argv[1]).resolve())
    if missing():
        print("skipped: there is no", ", ".join(missing()))
        return 77
    with tempfile.TemporaryDirectory(prefix="cmsim_slurm.") as scratch:
        place = pathlib.Path(scratch)
        place.chmod(0o711)  # munged wants its socket to be in everybody's reach
        (place / "work").mkdir()
        sweep = Sweep(cmsim, place / "work")
        no_slurm_is_said(sweep)
        for nodes, largest_array, judge in ((1, 3, same_bytes_in_chunks),
                                            (1, 1001, an_interrupt_cancels_the_jobs),
                                            (2, 1001, what_a_lost_node_had_runs_again)):
            start = time.monotonic()
            with Cluster(place / judge.__name__, nodes, largest_array) as cluster:
                judge(sweep, cluster)
            print(f"{judge.__name__}: {time.monotonic() - start:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
