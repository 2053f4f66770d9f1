#!/usr/bin/env python3
"""Holds README.md and docs/studies/ to what the program does: every `$ command` of their ```console blocks
is run, and what follows it must be what the command prints (stdout, then stderr); every ```cpp block must stand
in the policy example of tests/package/. Blocks of ```console long take minutes in all and are run when asked for.

Usage: readme.py CMSIM [--update] [--long] [--plugins DIRECTORY]
    --update    writes the outputs into the pages
    --long      those that take long, too
    --plugins   holds docs/policies.md instead, to what tests/package/ was built to in DIRECTORY
"""
import argparse
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
POLICY = ROOT / "tests/package/shortest_prompt_first.cpp"
CONSOLE = re.compile(r"(?<=```console\n).*?(?=```)", re.S)
LONG = re.compile(r"(?<=```console long\n).*?(?=```)", re.S)
CPP = re.compile(r"```cpp\n(.*?)```", re.S)


def run(command, folder, binary):
    environment = dict(os.environ, PATH=f"{binary.parent}:{os.environ['PATH']}", NO_COLOR="1")
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True,
                          text=True, check=False)
    return done.stdout + done.stderr


def replay(block, folder, binary):
    """The block with each command's output as it is now. A command may go on after a backslash."""
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.M)
    return "".join(f"$ {command}\n{run(command, folder, binary)}" for command in commands)


def judge(path, binary, update, plugins, long):
    """Whether the page is as it should be; says what is not."""
    page = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        if plugins:
            (pathlib.Path(folder) / "build").mkdir()
            (pathlib.Path(folder) / "build/policy").symlink_to(plugins)
        for name in ("platforms", "workloads"):
            (pathlib.Path(folder) / name).symlink_to(ROOT / name)
        now = page
        for blocks in (CONSOLE, LONG) if long else (CONSOLE,):
            now = blocks.sub(lambda block: replay(block[0], folder, binary), now)
    if update:
        path.write_text(now, encoding="utf-8")
        return True
    policy = POLICY.read_text(encoding="utf-8")
    strangers = [block for block in CPP.findall(page) if block not in policy]
    print(*(f"not in {POLICY.name}:\n{block}" for block in strangers), sep="\n")
    print(*difflib.unified_diff(page.splitlines(), now.splitlines(), path.name, "now", lineterm=""),
          sep="\n")
    return not strangers and page == now


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cmsim", type=pathlib.Path)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--plugins", type=pathlib.Path)
    given = parser.parse_args()
    pages = [ROOT / "README.md", *sorted((ROOT / "docs/studies").glob("*.md"))]
    plugins = given.plugins and given.plugins.resolve()
    held = [judge(path, given.cmsim.resolve(), given.update, plugins, given.long)
            for path in ([ROOT / "docs/policies.md"] if plugins else pages)]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
