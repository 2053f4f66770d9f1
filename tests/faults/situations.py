"""Trouble that needs no fault injected: bad streams and places, signals, other writers."""

import fcntl
import os
import pathlib
import signal
import subprocess
import time

from contract import (BYSTANDER, LONG, expect_complaint, finish, from_trace, launch, lay, look,
                      mismatch, run_command, state)

STREAMS = ("stdin", "stdout", "stderr")


def has_handler(pid):
    """Whether a process catches SIGTERM now, which it does in the event loop."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = int(status.split("SigCgt:")[1].split()[0], 16) if "SigCgt:" in status else 0
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def sleeps(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"
    except OSError:
        return False


def with_streams(argv, bad, how):
    """Runs with these standard streams full, closed, or a pipe that nobody reads."""
    if how == "closed":
        numbers = [STREAMS.index(stream) for stream in bad]
        return finish(launch(argv, preexec_fn=lambda: [os.close(number) for number in numbers]))
    if how == "full":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, descriptor = os.pipe()
        os.close(reading)
    outcome = finish(launch(argv, **{stream: descriptor for stream in bad}))
    os.close(descriptor)
    return outcome


def streams(report, cmsim, work, new):
    """The files are there, whole, and only a lost standard output is a failure."""
    out = work / "streams"
    for mode in ("", "--json", "--quiet"):
        for bad in (["stdout"], ["stderr"], ["stdout", "stderr"], [*STREAMS]):
            for how in ("full", "pipe", "closed") if "stdin" not in bad else ("closed",):
                def judge():
                    lay(out, {})
                    argv = run_command(cmsim, out, "--seed", 2, *filter(None, [mode]))
                    outcome = with_streams(argv, bad, how)
                    lost = "stdout" in bad and mode != "--quiet"
                    if lost and "stderr" not in bad:
                        problems = expect_complaint(outcome, 3, "standard output")
                    else:
                        wanted = 3 if lost else 0
                        problems = [f"exit code {outcome.code}"] if outcome.code != wanted else []
                    found = state(out, {}, new, "result.json")
                    lacking = [f"the directory is {found}"] if found != ("new", set()) else []
                    return problems + lacking
                report.case(f"streams: {' '.join(bad)}", how, f"streams {mode} {bad} {how}", judge)


def refusals(report, cmsim, work, old):
    """A place that cannot be written is found before simulating, a directory in the way after."""
    around, file = work / "around", work / "file"
    file.touch()

    def check(name, code, directory, out, *more):
        def judge():
            directory.mkdir(exist_ok=True)
            before, start = look(directory), time.monotonic()
            problems = expect_complaint(finish(launch(run_command(cmsim, out, *more))), code)
            if code == 2 and time.monotonic() - start > 2:
                problems.append("it simulated first")
            after = look(directory)
            changes = [f"{sorted(before)} became {sorted(after)}"] if before != after else []
            return problems + changes
        report.case("refusals", f"code {code}", f"refusals {name}", judge)

    check("wrong scenario", 2, around, around / "D", "--set", "/nonsense=1")
    check("wrong trace", 2, around, around / "D", *from_trace(file))
    check("below a file", 2, around, file / "D", *LONG)
    check("a file", 2, around, file, *LONG)
    check("not creatable", 2, around, "/proc/self/D", *LONG)
    check("not writable", 2, around, "/proc/self", *LONG)
    for name in old:
        directory = work / f"in the way of {name}"
        lay(directory, {other: content for other, content in old.items() if other != name})
        (directory / name).mkdir()
        check(f"{name} is a directory", 3, directory, directory)


def signals(report, cmsim, work, old):
    """In the event loop a signal ends the simulation, elsewhere the process."""
    out, fifo, before = work / "signals", work / "fifo", {**old, **BYSTANDER}
    os.mkfifo(fifo)

    def check(name, number, argv, ready, directory, judge):
        def run():
            process = launch(argv)
            limit = time.monotonic() + 10
            while not ready(process.pid) and process.poll() is None and time.monotonic() < limit:
                time.sleep(0.01)
            time.sleep(0.2)
            process.send_signal(number)
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                return [f"still there 3 s later, ended with {finish(process).code}"]
            return judge(finish(process).code, look(directory))
        label = signal.Signals(number).name
        report.case(f"signals: {name}", label, f"signals {name} {label}", run)

    def partial(code, files):
        """The whole result before it is still there, and the partial one beside it."""
        problems = [] if code == 3 else [f"exit code {code}, not 3"]
        files.pop("partial", None)
        problems += [] if files == before else [f"left {sorted(files)} of the result before"]
        found = look(out / "partial")
        whole = b'"partial": true' not in found.get("result.json", b"")
        return problems + (["the result is not partial"] if whole else []) + mismatch(found)

    def killed_by(number, kept):
        def judge(code, files):
            problems = [] if code == -number else [f"ended with {code}, not by the signal"]
            return problems + ([f"left {sorted(files)}"] if files != kept else [])
        return judge

    for number in (signal.SIGINT, signal.SIGTERM):
        lay(out, old)
        reading = run_command(cmsim, out, *from_trace(fifo))
        check("a trace that never comes", number, reading, sleeps, out, killed_by(number, before))
        lay(out, old)
        check("simulating", number, run_command(cmsim, out, *LONG), has_handler, out, partial)
        lay(out, old)
        lock = os.open(out, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        check("waiting for a writer", number, run_command(cmsim, out), sleeps, out,
              killed_by(number, before))
        os.close(lock)
    never = work / "never" / "D"
    check("simulating", signal.SIGKILL, run_command(cmsim, never, *LONG), has_handler, never.parent,
          killed_by(signal.SIGKILL, {}))


def writers(report, cmsim, work, references):
    """Runs with different seeds into one directory at once leave the pair of one of them."""
    out = work / "writers"

    def judge():
        running = [launch(run_command(cmsim, out, "--seed", seed)) for seed in references]
        codes = [finish(process).code for process in running]
        problems = [f"exit codes {codes}"] if any(codes) else []
        alone = look(out) in references.values()
        return problems + ([] if alone else [f"{sorted(look(out))} are not those of one run"])
    for turn in range(4):
        report.case("writers", "at once", f"writers {turn}", judge)
