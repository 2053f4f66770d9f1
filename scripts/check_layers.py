#!/usr/bin/env python3
"""Fails when a room includes a room above it, or a library reserved to another room.

The rules are the table of docs/architecture.md whose header is `room | may include | reserved library`;
nothing is written here a second time. Usage: check_layers.py [ROOT]
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
LIBRARIES = {"SimGrid": ("simgrid/",), "Boost.Graph": ("boost/graph/",), "CLI11": ("CLI/",),
             "SQLite": ("sqlite3.h",)}


def read_rules(page):
    """{room: (rooms it may include, libraries reserved to it)} from the table of the page."""
    rules, inside = {}, False
    for line in page.splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
        if cells[:3] == ["room", "may include", "reserved library"]:
            inside = True
        elif inside and not line.startswith("|"):
            break
        elif inside and not cells[0].startswith("-"):
            below, reserved = (set(re.findall(r"[\w.]+", cell)) for cell in cells[1:3])
            rules[cells[0]] = (below | {cells[0]}, reserved & set(LIBRARIES))
    return rules


def violations(root, rules):
    for top in ("include/cmsim", "src", "tests"):
        for path in sorted((root / top).rglob("*.[ch]pp")):
            room = path.relative_to(root / top).parts[0]
            if room not in rules and top == "tests":
                continue  # tests/fuzz, tests/package: outside the house
            allowed, reserved = rules.get(room, (set(), set()))
            for header in INCLUDE.findall(path.read_text(encoding="utf-8")):
                other = re.match(r"cmsim/(\w+)/", header)
                if other and other[1] not in allowed:
                    yield f"{path.relative_to(root)}: {room} may not include {other[1]} ({header})"
                for library, prefixes in LIBRARIES.items():
                    if header.startswith(prefixes) and library not in reserved:
                        yield f"{path.relative_to(root)}: {library} is not for {room} ({header})"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1])
    rules = read_rules((root / "docs/architecture.md").read_text(encoding="utf-8"))
    if not rules:
        sys.exit("docs/architecture.md: no table of rooms found")
    found = list(violations(root, rules))
    print(*found, f"check_layers: {len(rules)} rooms, {len(found)} violations", sep="\n")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
