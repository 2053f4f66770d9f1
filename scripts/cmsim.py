"""cmsim from Python: runs, steps and sweeps as function calls, and what they leave as lists and dictionaries.

    import cmsim                                   # with scripts/ in PYTHONPATH
    result = cmsim.run("cloudmatrix384", {"/seed": 2, "/platform/die/hbm_bandwidth": "1.4TB/s"})
    cmsim.value(result, "/window/tpot_ms/mean")
    rows = cmsim.sweep("cloudmatrix384", {"/workload/arrivals/rate": "120..200:3"}, seeds="1..3", out="out/rates")
    cmsim.frame(rows)                              # a pandas data frame, where pandas is installed

A run asks for nothing but its settings and returns one result, so an optimiser that asks and tells needs no more:

    def objective(trial):
        sets = {"/deployment/decode/max_num_seqs": trial.suggest_int("max_num_seqs", 8, 128)}
        return cmsim.value(cmsim.run("cloudmatrix384", sets), "/window/request_goodput")
"""
import csv
import json
import os
import pathlib
import shutil
import subprocess

_BUILT = pathlib.Path(__file__).resolve().parents[1] / "build/release/cmsim"


class CmsimError(RuntimeError):
    """What cmsim said, and its exit code (docs/invariants.md)."""

    def __init__(self, message, code):
        super().__init__(message)
        self.code = code


def program():
    """The binary: $CMSIM, else the one in PATH, else the one that quickstart built."""
    return os.environ.get("CMSIM") or shutil.which("cmsim") or str(_BUILT)


def call(*words):
    """stdout of `cmsim words...`; CmsimError when it ends with another exit code than 0."""
    done = subprocess.run([program(), *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CmsimError(done.stderr.strip(), done.returncode)
    return done.stdout


def _text(value):
    """As --set takes it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _settings(sets):
    return [word for pointer, value in (sets or {}).items() for word in ("--set", f"{pointer}={_text(value)}")]


def run(scenario, sets=None, *options, out=None):
    """The result of `cmsim run`; with `out` its files are there too. `sets`: {pointer: value}."""
    place = ["--out", out] if out else []
    return json.loads(call("run", scenario, *_settings(sets), *options, *place, "--json"))


def step(scenario, phase, sets=None, *options):
    """The breakdown of one decode step or prefill batch."""
    return json.loads(call("step", scenario, "--phase", phase, *_settings(sets), *options, "--json"))


def sweep(study, vary=None, *options, seeds=None, metrics=(), sets=None, out):
    """Runs a study and returns its points (see points()). `vary`: {pointer: values as text or list}."""
    words = _settings(sets)
    for pointer, values in (vary or {}).items():
        text = values if isinstance(values, str) else ",".join(_text(value) for value in values)
        words += ["--vary", f"{pointer}={text}"]
    words += ["--seeds", seeds] if seeds else []
    words += [word for metric in metrics for word in ("--metric", metric)]
    call("sweep", study, *words, *options, "--out", out)
    return points(out)


def value(result, pointer):
    """What is at a JSON pointer; None when there is no such place."""
    for key in pointer.split("/")[1:]:
        key = key.replace("~1", "/").replace("~0", "~")
        if isinstance(result, list):
            result = result[int(key)] if int(key) < len(result) else None
        else:
            result = result.get(key) if isinstance(result, dict) else None
    return result


def _cell(text):
    """A number where it is one; None where the cell is empty."""
    if text == "":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def table(file):
    """The rows of a CSV of cmsim, a dictionary each."""
    with open(file, newline="", encoding="utf-8") as stream:
        return [{name: _cell(text) for name, text in row.items()} for row in csv.DictReader(stream)]


def load(directory):
    """result.json of a run."""
    return json.loads((pathlib.Path(directory) / "result.json").read_text(encoding="utf-8"))


def requests(directory):
    """requests.csv of a run (docs/output.md)."""
    return table(pathlib.Path(directory) / "requests.csv")


def time_series(directory):
    """timeseries.csv of a run with --timeseries."""
    return table(pathlib.Path(directory) / "timeseries.csv")


def points(directory):
    """points.csv of a study: columns params_<pointer>, values_<metric> (docs/studies.md)."""
    return table(pathlib.Path(directory) / "points.csv")


def frame(rows):
    """Rows as a pandas data frame."""
    import pandas  # optional

    return pandas.DataFrame(rows)
