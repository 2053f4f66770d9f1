"""Figures of service in a part of the run: by class and prompt length, fairness, imbalance."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from formulas import WAITING, Row, length, quotient, ratio, statistics
from view import MICROSECOND, View

BOUNDS = 1024, 4096, 16384, 65536


def waiting(row: Row) -> float:
    return sum(length(row.phases[phase]) for phase in WAITING if phase in row.phases)


def bucket(row: Row) -> str:
    return next((f"to {bound}" for bound in BOUNDS if row.prompt <= bound), f"above {BOUNDS[-1]}")


class ServiceFigures(View):
    def judge(self) -> None:
        for part in self.parts:
            self.name = f"{part.name}.service"
            self.ended = [r for r in self.rows if r.outcome != "unfinished" and part.counts(r)]
            self.cohort = [r for r in self.ended if r.done]
            self.seen = [r for r in self.cohort if not r.initial]
            self.groups("classes", lambda row: row.request_class)
            self.groups("prompt_lengths", bucket)
            self.fairness()
            self.imbalance()

    def groups(self, key: str, group_of: Callable[[Row], str]) -> None:
        met = {group_of(row) for row in self.ended}
        found = self.result
        for part in (*self.name.split("."), key):
            found = found[part]
        self.ledger.holds(f"{self.name}.{key}", found.keys() == met, sorted(met))
        for group in met:
            self.group(f"{self.name}.{key}.{group}", [r for r in self.ended if group_of(r) == group])

    def group(self, field: str, ended: Sequence[Row]) -> None:
        ledger, done = self.ledger, [r for r in ended if r.done]
        seen = [r for r in done if not r.initial]
        ledger.same(f"{field}.requests", len(ended))
        ledger.same(f"{field}.finished", len(done))
        ledger.same(f"{field}.rejected", sum(r.outcome == "rejected" for r in ended))
        ledger.near(f"{field}.share_slo", ratio(sum(r.slo_met for r in done), len(ended)))
        ledger.near(f"{field}.longest_wait_s", self.longest(seen), 4.1 * MICROSECOND)
        tpots = [r.tpot_exact for r in done if self.decoded and r.output > 1]
        for name, values in (("ttft_ms", [r.ttft for r in seen]), ("tpot_ms", tpots)):
            if not values:
                ledger.same(f"{field}.{name}", None)
                continue
            ledger.same(f"{field}.{name}.count", len(values))
            for key, figure in statistics([value * 1e-3 for value in values]).items():
                ledger.near(f"{field}.{name}.{key}", figure, 1.01e-3)

    @staticmethod
    def longest(rows: Sequence[Row]) -> float | None:
        return max(map(waiting, rows)) * MICROSECOND if rows else None

    def fairness(self) -> None:
        """(sum of x)^2 / (n x sum of x^2) of the output tokens a second of each request."""
        ledger = self.ledger
        ledger.near(f"{self.name}.longest_wait_s", self.longest(self.seen), 4.1 * MICROSECOND)
        if any(r.e2el <= 0 for r in self.seen):
            return ledger.within(f"{self.name}.jain_index", 0, 1)
        speeds = [(r.produced if self.decoded else 1) / r.e2el for r in self.seen]
        squares = len(speeds) * math.fsum(speed * speed for speed in speeds)
        slack = 4 * max((1.01 / r.e2el for r in self.seen), default=0)
        ledger.near(f"{self.name}.jain_index", quotient(math.fsum(speeds) ** 2, squares), 0,
                    slack + 1e-9)

    def imbalance(self) -> None:
        """The most loaded / the mean."""
        prefill, decode = self.facts.prefill["instances"], self.facts.decode["instances"]
        ranks = self.facts.decode["ranks"]
        if self.facts.mixed:
            prefill = 0
        output = lambda row: row.produced if self.decoded else 1
        on_rank = lambda row: int(row.decode_instance) * ranks + int(row.decode_rank)
        routed = [r for r in self.cohort if r.prefill_instance]
        decoded = [r for r in self.cohort if r.decode_instance]
        for key, parts, rows, place, load in (
                ("prefill_instances", prefill, routed, lambda r: int(r.prefill_instance),
                 lambda r: r.prompt - r.cached),
                ("decode_instances", decode, decoded, lambda r: int(r.decode_instance), output),
                ("decode_ranks", decode * ranks, decoded, on_rank, output)):
            loads = [0] * parts
            for row in rows:
                loads[place(row)] += load(row)
            self.ledger.near(f"{self.name}.imbalance.{key}", quotient(max(loads, default=0) * parts, sum(loads)))
