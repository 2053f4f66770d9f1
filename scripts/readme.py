#!/usr/bin/env python3
"""Holds README.md to what the program does: every `$ command` of its ```console blocks is run, and what
follows it must be what the command prints (stdout, then stderr); every ```cpp block must stand in the
policy example of tests/package/.

Usage: readme.py CMSIM [--update]      --update writes the outputs into README.md
"""
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


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("platforms", "workloads"):
            (pathlib.Path(folder) / name).symlink_to(ROOT / name)
        now = CONSOLE.sub(lambda block: replay(block[0], folder, binary), page)
    if "--update" in sys.argv:
        (ROOT / "README.md").write_text(now, encoding="utf-8")
        return
    policy = POLICY.read_text(encoding="utf-8")
    strangers = [block for block in CPP.findall(page) if block not in policy]
    print(*(f"not in {POLICY.name}:\n{block}" for block in strangers), sep="\n")
    print(*difflib.unified_diff(page.splitlines(), now.splitlines(), "README.md", "now", lineterm=""),
          sep="\n")
    sys.exit(1 if strangers or page != now else 0)


if __name__ == "__main__":
    main()
