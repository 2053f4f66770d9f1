#!/usr/bin/env python3
"""Draws a study, one panel a metric: for docs/ and for studies of your own.

    plot_study.py DIR -o FILE.svg [--metric NAME[*FACTOR][:LABEL] ...] [--names A B ...] [--axis LABEL]
    plot_study.py DIR -o FILE.svg --lines AXIS ...
    plot_study.py --docs CMSIM [NAME ...]     those of docs/studies/plots.json, swept anew

DIR is what `cmsim sweep --out DIR` made. A bar is a cell, its value the mean over the seeds, and a line on it
goes from the least seed to the most. --metric "duration*1e-3:step, ms" multiplies and names; --names replaces
the values of the axes, in order of the cells, with a line break set small in two lines, --axis what stands below them.
--lines draws the cells over the numbers of that axis instead, a line for each value of the others, which --names renames.
In plots.json "over" makes a panel the first line over the second, and "published" adds rows of
workloads/studies/published.json as points: {"row": [x, panel, line]}. Needs matplotlib (Debian: python3-matplotlib).
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


def require(metrics: list[tuple[str, float, str]], found: dict[str, dict[str, list[float]]]) -> None:
    for name, _, _ in metrics:
        if any(name not in values for values in found.values()):
            sys.exit(f"--metric: not every cell has \"{name}\"")


def pyplot():
    """matplotlib's, set so that the same figures give the same file."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as plot
    except ImportError:
        sys.exit("matplotlib is missing: apt-get install python3-matplotlib")
    matplotlib.rcParams |= {"svg.hashsalt": "cmsim", "font.size": 9, "svg.fonttype": "none"}
    return plot


def save(plot, figure, output: pathlib.Path) -> None:
    for panel in figure.axes:
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(output, metadata={"Date": None})
    plot.close(figure)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


COLOURS = ("#3b6ea5", "#c8553d", "#588157", "#8a5a9e")


def draw_lines(directory: pathlib.Path, output: pathlib.Path, entry: dict,
               rows: dict[str, dict]) -> None:
    """Means over the seeds along the axis entry["lines"]; see the text at the top for the other keys."""
    plot = pyplot()
    axes, found = cells(directory)
    if entry["lines"] not in axes:
        sys.exit(f"--lines: no axis \"{entry['lines']}\", there are {', '.join(axes)}")
    place = axes.index(entry["lines"])
    lines: dict[str, list[tuple[float, dict[str, list[float]]]]] = collections.defaultdict(list)
    for cell, values in found.items():
        at = cell.split(", ")
        lines[", ".join(at[:place] + at[place + 1:])].append((float(at[place]), values))
    names = entry.get("names") or list(lines)
    if len(names) != len(lines):
        sys.exit(f"--names: found {len(names)}, the study has {len(lines)} lines")
    metrics = [parts(metric) for metric in entry.get("metric") or next(iter(found.values()))]
    require(metrics, found)
    panels = [("", *metric) for metric in metrics] + [("over", *parts(m)) for m in entry.get("over", [])]
    figure, places = plot.subplots(1, len(panels), figsize=(3.6 * len(panels), 2.8), squeeze=False)
    for number, (panel, (kind, metric, factor, label)) in enumerate(zip(places[0], panels)):
        series = [sorted((x, factor * mean(values[metric])) for x, values in line)
                  for line in lines.values()]
        if kind == "over":
            other = dict(series[1])
            series = [[(x, y / other[x]) for x, y in series[0] if x in other]]
        for line, (points, name) in enumerate(zip(series, names)):
            panel.plot(*zip(*points), "-", color=COLOURS[line % 4], label=name if kind != "over" else "ours")
        shown = set()
        for row, (x, of_panel, line) in entry.get("published", {}).items():
            if of_panel != number:
                continue
            label_once = "published" if not shown else None
            shown.add(row)
            panel.plot(x, rows[row]["published"], "o", color=COLOURS[line], markersize=5, label=label_once,
                       markeredgecolor="black", markeredgewidth=0.7)
        if entry.get("log"):
            ticks: list[float] = []  # those that have room
            for x in sorted({x for points in series for x, _ in points}):
                if not ticks or x > 1.4 * ticks[-1]:
                    ticks.append(x)
            panel.set_xscale("log", base=2)
            panel.set_xticks(ticks, [f"{x:g}" for x in ticks])
            panel.minorticks_off()
        if kind != "over":
            panel.set_ylim(bottom=0)
        panel.set_title(label, fontsize=9)
        panel.set_xlabel(entry.get("axis") or entry["lines"].rsplit("/", 1)[-1])
        panel.legend(fontsize=7, frameon=False)
    save(plot, figure, output)


def draw(directory: pathlib.Path, output: pathlib.Path, wanted: list[str], names: list[str],
         axis: str) -> None:
    """The study in `directory` as bars, all metrics and its own names where none are given."""
    plot = pyplot()
    axes, found = cells(directory)
    names = names or list(found)
    if len(names) != len(found):
        sys.exit(f"--names: found {len(names)}, the study has {len(found)} cells")
    metrics = [parts(metric) for metric in wanted or next(iter(found.values()))]
    require(metrics, found)
    width = max(3.2, 0.55 * len(names))
    figure, panels = plot.subplots(1, len(metrics), figsize=(width * len(metrics), 2.6), squeeze=False)
    for panel, (metric, factor, label) in zip(panels[0], metrics):
        values = [[factor * value for value in cell[metric]] for cell in found.values()]
        means = [mean(seeds) for seeds in values]
        reach = [[middle - min(seeds) for middle, seeds in zip(means, values)],
                 [max(seeds) - middle for middle, seeds in zip(means, values)]]
        several = any(len(seeds) > 1 for seeds in values)
        bars = panel.bar(names, means, color="#3b6ea5", yerr=reach if several else None, capsize=3)
        panel.bar_label(bars, [f"{bar:,.0f}" if bar >= 1000 else f"{bar:.3g}" for bar in means],
                        fontsize=7, padding=2)
        panel.set_title(label, fontsize=9)
        panel.set_ylim(0, 1.15 * max(means))
        panel.set_xlabel(axis or ", ".join(axis.rsplit("/", 1)[-1] for axis in axes))
        stacked = any("\n" in name for name in names)
        turned = not stacked and max(map(len, names)) > 6
        panel.tick_params(axis="x", labelrotation=20 if turned else 0, labelsize=7 if stacked else 9)
    save(plot, figure, output)


def published_rows(root: pathlib.Path) -> dict[str, dict]:
    text = (root / "workloads/studies/published.json").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("//")]
    return {row["id"]: row for row in json.loads("\n".join(lines))["rows"]}


def draw_docs(cmsim: str, only: list[str]) -> None:
    """The pictures of docs/studies/, of the studies as they come out today."""
    root = pathlib.Path(__file__).resolve().parent.parent
    rows = published_rows(root)
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
            output = root / f"docs/studies/{name}.svg"
            if "lines" in entry:
                draw_lines(pathlib.Path(directory), output, entry, rows)
            else:
                draw(pathlib.Path(directory), output, entry["metric"], entry.get("names", []),
                     entry.get("axis", ""))
        print(f"wrote docs/studies/{name}.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path, nargs="?")
    parser.add_argument("-o", "--output", type=pathlib.Path)
    parser.add_argument("--metric", nargs="+", default=[])
    parser.add_argument("--names", nargs="+", default=[])
    parser.add_argument("--axis", default="")
    parser.add_argument("--lines", metavar="AXIS")
    parser.add_argument("--docs", nargs="+", metavar=("CMSIM", "NAME"))
    arguments = parser.parse_args()
    if arguments.docs:
        draw_docs(str(pathlib.Path(arguments.docs[0]).resolve()), arguments.docs[1:])
    elif arguments.directory and arguments.output and arguments.lines:
        draw_lines(arguments.directory, arguments.output,
                   {"lines": arguments.lines, "metric": arguments.metric, "names": arguments.names,
                    "axis": arguments.axis}, {})
    elif arguments.directory and arguments.output:
        draw(arguments.directory, arguments.output, arguments.metric, arguments.names, arguments.axis)
    else:
        parser.error("DIR and -o FILE.svg, or --docs CMSIM")


if __name__ == "__main__":
    main()
