"""Which fields of result.json were judged, how, and which failed.

A field is *recomputed* from the CSV (or from other fields, where it is a ratio of them), *bounded* by
an invariant, or named in NOT_RECOMPUTED with the reason. A leaf that is none of the three is a
failure, so that whoever adds a field has to say how it can be wrong.
"""
from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Iterator
from typing import Any

PRINTED = 1e-11  # relative; numbers have 12 significant digits
NOT_RECOMPUTED = {
    "breakdown.*.operators.*.name": "a label",
    "breakdown.*.operators.*.track": "a label",
    "breakdown.*.attention_ai[cv]": "a choice of the step model",
    "breakdown.*.microbatches": "a choice of the step model",
    "provenance.version": "of the program",
    "provenance.simgrid.*": "of the library",
    "provenance.*digest": "hashes of what the program read",
    "provenance.command": "the command line",
    "provenance.seed_redraws.*": "names of streams; tests/run",
    "provenance.scenario": "the name of the file",
    "provenance.network_note": "text",
    "provenance.seed_redraws.*": "names of random streams",
    "provenance.trace*": "what the reader says about its file; tests/work",
}


@dataclasses.dataclass(frozen=True)
class Failure:
    field: str
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        return f"{self.field}: ours {self.ours}, theirs {self.theirs}"


class Ledger:
    """Which fields were judged, how, and which failed. A field is a path such as `window.slo.share_both`."""

    def __init__(self, result: dict[str, Any]) -> None:
        self.leaves = dict(leaves({key: value for key, value in result.items() if key != "itls"}))
        self.recomputed: set[str] = set()
        self.bounded: set[str] = set()
        self.failures: list[Failure] = []

    def get(self, field: str) -> Any:
        return self.leaves.get(field)

    def same(self, field: str, expected: Any, unless: bool = False) -> None:
        """Recomputed exactly; `unless` rounding decides it."""
        (self.bounded if unless else self.recomputed).add(field)
        self.holds(field, unless or (field in self.leaves and self.leaves[field] == expected), expected)

    def near(self, field: str, expected: float | None, absolute: float = 0,
             relative: float = 1e-9) -> None:
        """Recomputed to within absolute + relative; None expects null."""
        if expected is None:
            return self.same(field, None)
        self.recomputed.add(field)
        slack = absolute + relative * abs(expected)
        self.holds(field, self.is_within(field, expected - slack, expected + slack), expected)

    def either(self, field: str, values: Iterable[float], absolute: float = 0,
               relative: float = 1e-9) -> None:
        """Recomputed; rounding leaves several values, and theirs is held against the nearest."""
        found = self.get(field)
        distance = lambda value: abs(value - found) if type(found) in (int, float) else 0
        self.near(field, min(values, key=distance), absolute, relative)

    def between(self, field: str, low: int, high: int) -> None:
        """Recomputed where rounding leaves one count, else bounded."""
        self.same(field, low) if low == high else self.within(field, low, high)

    def within(self, field: str, low: float, high: float) -> None:
        self.bounded.add(field)
        self.holds(field, self.is_within(field, low, high), f"{low:.9g} to {high:.9g}")

    def within_or_null(self, field: str, low: float, high: float, null: bool) -> None:
        self.same(field, None) if null else self.within(field, low, high)

    def is_within(self, field: str, low: float, high: float) -> bool:
        found = self.get(field)
        return type(found) in (int, float) and low <= found <= high

    def holds(self, field: str, truth: bool, what: Any) -> None:
        if not truth:
            self.failures.append(Failure(field, what, self.get(field)))

    def unjudged(self) -> Iterator[Failure]:
        judged = self.recomputed | self.bounded
        for field, value in self.leaves.items():
            if field not in judged and not any(
                    fnmatch.fnmatchcase(field, pattern) for pattern in NOT_RECOMPUTED):
                yield Failure(field, "a formula, a bound or a line in NOT_RECOMPUTED", value)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, (dict, list)):
        yield path, value
        return
    for key, member in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaves(member, f"{path}.{key}" if path else str(key))
