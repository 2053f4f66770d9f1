#!/usr/bin/env python3
"""Draws a study as bars, one panel a metric: for docs/studies/ and for studies of your own.

    plot_study.py DIR -o FILE.svg [--metric NAME[*FACTOR][:LABEL] ...] [--names A B ...] [--axis LABEL]
    plot_study.py --docs CMSIM [NAME ...]     those of docs/studies/plots.json, swept anew

DIR is what `cmsim sweep --out DIR` made. A bar is a cell, its value the mean over the seeds, and a line on it
goes from the least seed to the most. --metric "duration*1e-3:step, ms" multiplies and names; --names replaces
the values of the axes, in order of the cells, with a line break set small in two lines, --axis what stands below them. Needs matplotlib (Debian: python3-matplotlib).
"""
from __future__ import annotations

import argparse
import collections
import csv
import json
import pathlib
import subprocess
import sys
import tempfile


def cells(directory: pathlib.Path) -> tuple[list[str], dict[str, dict[str, list[float]]]]:
    """The axes, and by cell and metric the values of the seeds, which are numbers."""
    with open(directory / "points.csv", encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["state"] == "done"]
    if not rows:
        sys.exit(f"{directory}: no point is done")
    axes = [name for name in rows[0] if name.startswith("params_")]
    metrics = [name for name in rows[0] if name.startswith("values_")]
    found: dict[str, dict[str, list[float]]] = collections.defaultdict(
        lambda: collections.defaultdict(list))
    for row in rows:
        cell = ", ".join(row[axis] for axis in axes)
        for metric in metrics:
            try:
                value = float(row[metric])
                found[cell][metric.removeprefix("values_")].append(value)
            except ValueError:  # none, or a text: nothing to draw
                pass
    return [axis.removeprefix("params_") for axis in axes], found


def parts(metric: str) -> tuple[str, float, str]:
    """Name, factor and label of NAME[*FACTOR][:LABEL]."""
    rest, _, label = metric.partition(":")
    name, _, factor = rest.partition("*")
    return name, float(factor or 1), label or name


def draw(directory: pathlib.Path, output: pathlib.Path, wanted: list[str], names: list[str],
         axis: str) -> None:
    """The study in `directory`, all metrics and its own names where none are given."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as plot
    except ImportError:
        sys.exit("matplotlib is missing: apt-get install python3-matplotlib")
    axes, found = cells(directory)
    names = names or list(found)
    if len(names) != len(found):
        sys.exit(f"--names: found {len(names)}, the study has {len(found)} cells")
    metrics = [parts(metric) for metric in wanted or next(iter(found.values()))]
    for name, _, _ in metrics:
        if any(name not in values for values in found.values()):
            sys.exit(f"--metric: not every cell has \"{name}\"")
    matplotlib.rcParams |= {"svg.hashsalt": "cmsim", "font.size": 9, "svg.fonttype": "none"}
    width = max(3.2, 0.55 * len(names))
    figure, panels = plot.subplots(1, len(metrics), figsize=(width * len(metrics), 2.6), squeeze=False)
    for panel, (metric, factor, label) in zip(panels[0], metrics):
        values = [[factor * value for value in cell[metric]] for cell in found.values()]
        means = [sum(seeds) / len(seeds) for seeds in values]
        reach = [[mean - min(seeds) for mean, seeds in zip(means, values)],
                 [max(seeds) - mean for mean, seeds in zip(means, values)]]
        several = any(len(seeds) > 1 for seeds in values)
        bars = panel.bar(names, means, color="#3b6ea5", yerr=reach if several else None, capsize=3)
        panel.bar_label(bars, [f"{mean:,.0f}" if mean >= 1000 else f"{mean:.3g}" for mean in means],
                        fontsize=7, padding=2)
        panel.set_title(label, fontsize=9)
        panel.set_ylim(0, 1.15 * max(means))
        panel.set_xlabel(axis or ", ".join(axis.rsplit("/", 1)[-1] for axis in axes))
        stacked = any("\n" in name for name in names)
        turned = not stacked and max(map(len, names)) > 6
        panel.tick_params(axis="x", labelrotation=20 if turned else 0, labelsize=7 if stacked else 9)
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(output, metadata={"Date": None})
    plot.close(figure)


def draw_docs(cmsim: str, only: list[str]) -> None:
    """The pictures of docs/studies/, of the studies as they come out today."""
    root = pathlib.Path(__file__).resolve().parent.parent
    plots = json.loads((root / "docs/studies/plots.json").read_text(encoding="utf-8"))
    unknown = sorted(set(only) - set(plots))
    if unknown:
        sys.exit(f"{unknown[0]} is not in docs/studies/plots.json, which has {', '.join(plots)}")
    for name in only or plots:
        entry = plots[name]
        with tempfile.TemporaryDirectory() as directory:
            command = [cmsim, "sweep", f"workloads/studies/{entry['study']}.json", "--out", directory]
            for setting in entry.get("set", []):
                command += ["--set", setting]
            done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
            draw(pathlib.Path(directory), root / f"docs/studies/{name}.svg", entry["metric"],
                 entry.get("names", []), entry.get("axis", ""))
        print(f"wrote docs/studies/{name}.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path, nargs="?")
    parser.add_argument("-o", "--output", type=pathlib.Path)
    parser.add_argument("--metric", nargs="+", default=[])
    parser.add_argument("--names", nargs="+", default=[])
    parser.add_argument("--axis", default="")
    parser.add_argument("--docs", nargs="+", metavar=("CMSIM", "NAME"))
    arguments = parser.parse_args()
    if arguments.docs:
        draw_docs(str(pathlib.Path(arguments.docs[0]).resolve()), arguments.docs[1:])
    elif arguments.directory and arguments.output:
        draw(arguments.directory, arguments.output, arguments.metric, arguments.names, arguments.axis)
    else:
        parser.error("DIR and -o FILE.svg, or --docs CMSIM")


if __name__ == "__main__":
    main()
