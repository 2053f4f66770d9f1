"""What `cmsim run --out D` promises about D, told from the bytes that are found there.

The files of a directory are a dict of name -> bytes, None for a directory. `old` is what was there
before a run and `new` what a run without trouble leaves; `head` is the file that comes last and
vouches for the others.
"""

import collections
import json
import os
import pathlib
import shutil
import subprocess

SCENARIO = pathlib.Path(__file__).with_name("small.json")
LONG = ["--set", "/workload/requests=20000", "--set", "/workload/output_length=100000"]  # seconds
BYSTANDER = {"notes.txt": b"mine"}  # a file of the user's own, which no run may touch
PATIENCE = 30  # seconds until a run counts as hung

Outcome = collections.namedtuple("Outcome", "code stdout stderr")


def from_trace(file):
    return ["--set", f'/workload={{"trace": "{file}"}}']


def run_command(cmsim, out, *more):
    return [cmsim, "run", str(SCENARIO), "--force", "--out", str(out), *map(str, more)]


def launch(argv, **options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(argv, **{**pipes, **options})


def finish(process):
    try:
        stdout, stderr = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Outcome("hung", b"", b"")
    return Outcome(process.returncode, stdout or b"", stderr or b"")


def look(directory):
    """The files of a directory, none when it is not there."""
    entries = list(directory.iterdir()) if directory.is_dir() else []
    return {entry.name: entry.read_bytes() if entry.is_file() else None for entry in entries}


def lay(directory, files):
    """Makes a directory hold these files and the bystander, and nothing else."""
    directory.mkdir(parents=True, exist_ok=True)
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    for name, content in {**files, **BYSTANDER}.items():
        (directory / name).write_bytes(content)


def state(directory, old, new, head):
    """'old', 'new', 'none' (no head, the rest whole) or 'MIXED', and the names of no use."""
    files = {name: content for name, content in look(directory).items() if name not in BYSTANDER}
    names = {*new, *old}
    found = {name: content for name, content in files.items() if name in names}
    leftovers = {*files} - names
    if found in (old, new):
        return ("old" if found == old else "new"), leftovers
    whole = all(content in (old.get(name), new[name]) for name, content in found.items())
    return ("none" if whole and head not in found else "MIXED"), leftovers


def fnv1a64(data):
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"


def mismatch(files):
    """Problems when result.json does not vouch for requests.csv; none without a result."""
    if "result.json" not in files:
        return []
    try:
        entries = {entry["name"]: entry for entry in json.loads(files["result.json"])["files"]}
        told = entries["requests.csv"]["bytes"], entries["requests.csv"]["fnv1a64"]
    except (ValueError, KeyError, TypeError) as error:
        return [f"result.json has no digest of requests.csv: {error!r}"]
    content = files.get("requests.csv", b"")
    found = len(content), fnv1a64(content)
    return [] if told == found else [f"result.json tells of a requests.csv {told}, not {found}"]


def reference(cmsim, directory, *more):
    """The files of a directory after an undisturbed run into it."""
    subprocess.run(run_command(cmsim, directory, *more), check=True, capture_output=True)
    return look(directory)


def expect_complaint(outcome, code, *parts):
    """Problems unless the exit code is this one and one message holds all the parts."""
    lines = [line for line in outcome.stderr.decode().splitlines() if line.startswith("cmsim: ")]
    problems = [] if outcome.code == code else [f"exit code {outcome.code}, not {code}"]
    if len(lines) != 1 or not all(part in lines[0] for part in parts):
        problems.append(f"said {lines}, not one message with {list(parts)}")
    return problems


class Report:
    """Counts cases by (group, fault); a case is violated when it has problems."""

    def __init__(self, only):
        self.only = only  # the cases whose name holds this
        self.cases = collections.Counter()
        self.violated = collections.Counter()

    def case(self, group, fault, name, judge):
        """Judges a case, if it is one of those wanted; `judge` runs it and returns its problems."""
        if self.only not in name:
            return
        problems = judge()
        self.cases[group, fault] += 1
        self.violated[group, fault] += bool(problems)
        if problems:
            print(f"VIOLATED  {name}: {'; '.join(problems)}", flush=True)

    def table(self):
        faults = list(dict.fromkeys(fault for _, fault in self.cases))
        print(f"\n{'cases (violated)':32}" + "".join(f"{fault:>10}" for fault in faults))
        for group in dict.fromkeys(group for group, _ in self.cases):
            cells = [(self.cases[group, fault], self.violated[group, fault]) for fault in faults]
            texts = [f"{cases} ({bad})" if bad else cases or "" for cases, bad in cells]
            print(f"{group:32}" + "".join(f"{text:>10}" for text in texts))
        print(f"{self.cases.total()} cases, {self.violated.total()} violated")
