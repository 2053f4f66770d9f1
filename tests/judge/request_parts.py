"""Figures of requests in a part of the run: rates, latencies, SLO, phases."""
from __future__ import annotations

import math
from collections.abc import Sequence

from formulas import (PHASES, WAITING, Row, length, mean, nearest_rank, percentile, ratio, statistics)
from view import Part, View

ONE_MOMENT = 1  # µs


class RequestParts(View):
    def judge(self) -> None:
        for part in self.parts:
            self.part = part
            self.ended = [r for r in self.done if part.inside(r.finished)]
            self.cohort = [r for r in self.done if part.counts(r)]
            self.seen = [r for r in self.cohort if not r.initial]
            self.ttfts = [r.ttft for r in self.seen]
            self.tpots = [r.tpot_exact for r in self.cohort if self.decoded and r.output > 1]
            for judge in (self.rates, self.throughput, self.latencies, self.slo, self.phases):
                judge()

    def field(self, name: str) -> str:
        return f"{self.part.name}.{name}"

    def rates(self) -> None:
        """Of the sends in the last one's microsecond any may come before it."""
        begin, end = self.part.span
        last = min(self.last_send, end)
        sends = [r.sent for r in self.sent if not r.initial and r.sent >= self.part.edges[0]]
        least, most = (sum(sent < last + by for sent in sends) for by in (0, ONE_MOMENT))
        field, seconds = self.field("request_rate"), (last - begin) * 1e-6
        if last - begin <= ONE_MOMENT:
            return self.ledger.same(field, None)
        rounding = ratio(1e-6, seconds) + 1e-9 if last == self.last_send else 1e-9
        self.ledger.either(field, [count / seconds for count in range(least, most + 1)], 0, rounding)

    def throughput(self) -> None:
        near, part, figures = self.ledger.near, self.part, self.part.figures
        near(self.field("request_throughput"), part.per_second(len(self.ended)))
        near(self.field("request_goodput"), part.per_second(sum(r.slo_met for r in self.ended)))
        rates = {role: (figures[role] or {}).get("tokens_per_second") for role in ("prefill", "decode")}
        output = figures["request_throughput"] if rates["decode"] is None else rates["decode"]
        near(self.field("output_throughput"), output)
        prompts = rates["prefill"] or 0
        if self.facts.mixed:
            prompts = figures["decode"]["prompts"]["tokens_per_second"]
        near(self.field("total_token_throughput"), prompts + output)
        for role in ("prefill", "decode"):
            near(self.field(f"{role}_tokens_per_second_per_npu"),
                 (figures[role] or {}).get("tokens_per_second_per_npu"))

    def latencies(self) -> None:
        for name, values in (("ttft", self.ttfts), ("tpot", self.tpots),
                             ("e2el", [r.e2el for r in self.seen])):
            field = self.field(f"{name}_ms")
            if not values:
                self.ledger.same(field, None)
                continue
            self.ledger.same(f"{field}.count", len(values))
            for key, figure in statistics([value * 1e-3 for value in values]).items():
                self.ledger.near(f"{field}.{key}", figure, 1.01e-3)

    def keeps(self, row: Row, slack: float) -> tuple[bool, bool]:
        ttft_limit, tpot_limit = self.facts.classes[row.request_class]
        tpot = row.tpot_exact if self.decoded and row.output > 1 else -math.inf
        return (bool(row.initial) or row.ttft <= ttft_limit * 1e6 + slack,
                tpot <= tpot_limit * 1e6 + slack)

    def slo(self) -> None:
        ledger, facts = self.ledger, self.facts
        ledger.same(self.field("slo.name"), facts.slo_name)
        limits = facts.ttft_limit * 1e6, facts.tpot_limit * 1e6
        for key, limit in zip(("ttft_ms", "tpot_ms"), limits):
            ledger.near(self.field(f"slo.{key}"), None if limit == math.inf else limit * 1e-3)
        kept = {slack: [self.keeps(row, slack) for row in self.cohort] for slack in (-1, 1)}
        for row, least, most in zip(self.cohort, kept[-1], kept[1]):
            ledger.holds("requests.csv slo_met", all(least) <= row.slo_met <= all(most),
                         "1 when both limits are kept")
        judged = len(self.cohort) + sum(
            r.outcome in ("rejected", "failed") and self.part.counts(r) for r in self.rows)
        for i, key in enumerate(("share_ttft", "share_tpot")):
            least, most = (ratio(sum(pair[i] for pair in kept[s]), judged) for s in (-1, 1))
            ledger.near(self.field(f"slo.{key}"), (least + most) / 2, (most - least) / 2)
        ledger.near(self.field("slo.share_both"), ratio(sum(r.slo_met for r in self.cohort), judged))
        samples = [sample for name in facts.classes for sample in self.samples(name)]
        for key, figure in (("met_on_mean", lambda kept, lost: mean(kept) if kept else math.inf),
                            ("met_at_p99", lambda kept, lost: nearest_rank(kept + [math.inf] * lost, 0.99))):
            values = [(figure(kept, lost) if lost <= 0.01 * (len(kept) + lost) else math.inf, most)
                      for kept, most, lost in samples if kept or lost]
            ledger.same(self.field(f"slo.{key}"),
                        bool(self.cohort) and all(value <= most and value < math.inf for value, most in values),
                        unless=any(abs(value - most) <= 1 for value, most in values))

    def samples(self, name: str) -> list[tuple[list[float], float, int]]:
        """The latencies of a class with their limits, µs, and how many have none."""
        ttft_limit, tpot_limit = self.facts.classes[name]
        rows = [r for r in self.cohort if r.request_class == name]
        tpots = [r.tpot_exact for r in rows if self.decoded and r.output > 1]
        lost = sum(r.outcome in ("rejected", "failed") and r.request_class == name and self.part.counts(r)
                   for r in self.rows)
        return [([r.ttft for r in rows if not r.initial], ttft_limit * 1e6, lost), (tpots, tpot_limit * 1e6, lost)]

    def phases(self) -> None:
        rows: Sequence[Row] = self.seen
        total = math.fsum(r.finished - r.arrival for r in rows)
        sums: dict[str, float] = {}
        for phase in PHASES:
            values = [length(r.phases[phase]) for r in rows if phase in r.phases]
            if not values or (phase == "client_wait" and max(values) == 0):
                continue
            sums[phase] = math.fsum(values)
            field = self.field(f"phases.{phase}")
            for key, figure in (("mean", mean(values)), ("p50", percentile(values, 0.5)),
                                ("p99", percentile(values, 0.99))):
                self.ledger.near(f"{field}.{key}_ms", figure * 1e-3, 1.01e-3)
            self.ledger.near(f"{field}.share", ratio(sums[phase], total),
                             ratio(2.1 * len(values), total))
        self.longest("slowest_phase", sums, 2 * len(rows))
        waits = {phase: sums[phase] for phase in WAITING if phase in sums}
        self.longest("longest_wait", {"": 0, **waits}, 2 * len(rows))

    def longest(self, name: str, sums: dict[str, float], slack: float) -> None:
        """The phase with the largest sum, any of those that the rounding of times leaves open."""
        longest = [p for p in sums if sums[p] >= max(sums.values()) - slack] or [""]
        found = self.ledger.get(self.field(name))
        self.ledger.same(self.field(name), found if found in longest else longest[-1])
