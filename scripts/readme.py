#!/usr/bin/env python3
"""Holds README.md and docs/studies/ to what the program does: every `$ command` of their ```console blocks
is run, and what follows it must be what the command prints (stdout, then stderr); every ```cpp block must stand
in the policy example of tests/package/.

Usage: readme.py CMSIM [--update]      --update writes the outputs into the pages
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


def judge(path, binary, update):
    """Whether the page is as it should be; says what is not."""
    page = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("platforms", "workloads"):
            (pathlib.Path(folder) / name).symlink_to(ROOT / name)
        now = CONSOLE.sub(lambda block: replay(block[0], folder, binary), page)
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
    binary = pathlib.Path(sys.argv[1]).resolve()
    pages = [ROOT / "README.md", *sorted((ROOT / "docs/studies").glob("*.md"))]
    held = [judge(path, binary, "--update" in sys.argv) for path in pages]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
