"""Figures of requests: counts, throughput, latencies, SLO, phases, load."""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from formulas import (PHASES, Interval, Row, length, mean, nearest_rank, overlap, percentile, ratio,
                      statistics)
from view import MICROSECOND, View


class RequestFigures(View):
    def judge(self) -> None:
        for judge in (self.rows_alone, self.counts, self.throughput, self.latencies, self.slo,
                      self.phases, self.window_and_load, self.detailed):
            judge()

    def rows_alone(self) -> None:
        """What every row of requests.csv must be by itself."""
        holds = lambda column, truth, what: self.ledger.holds(f"requests.csv {column}", truth, what)
        for row in self.rows:
            holds("phases", all(s <= e for s, e in row.phases.values()), "phases that go forward")
            holds("cached_tokens", 0 <= row.cached < row.prompt, "fewer than the prompt's")
            if not row.done:
                continue
            first = row.phases["first_iteration" if self.decoded else "prefill"][1]
            holds("ttft_s", row.ttft == first - row.sent, "first token - sent")
            holds("e2el_s", row.e2el == row.finished - row.sent, "finished - sent")
            holds("phases", max(end for _, end in row.phases.values()) == row.finished,
                  "phases that add up to the latency")
            if self.decoded and row.output > 1:
                holds("tpot_s", abs(row.tpot - self.tpot(row)) <= 0.51, self.tpot(row))
            if self.decoded and not row.initial:
                most = row.iterations * (1 + self.facts.decode["draft_tokens"])
                holds("iterations", row.iterations <= row.output <= most,
                      f"output tokens between {row.iterations} and {most}")

    def counts(self) -> None:
        same, outcomes = self.ledger.same, Counter(r.outcome for r in self.rows)
        same("requests.total", len(self.rows))
        for outcome in ("finished", "rejected", "failed", "unfinished"):
            same(f"requests.{outcome}", outcomes[outcome])
        for reason, count in Counter(r.reason for r in self.rows if not r.done).items():
            same(f"requests.by_reason.{reason}", count)
        same("requests.preempted", sum(r.preemptions > 0 for r in self.rows))
        same("completed", outcomes["finished"])
        same("partial", self.partial)
        same("provenance.trace_dropped", 0)
        same("provenance.seed", self.facts.seed)
        same("provenance.network", self.facts.network)

    def throughput(self) -> None:
        ledger = self.ledger
        end = self.t1 if self.partial or not self.done else max(r.finished for r in self.done)
        duration = (end - self.t0) * MICROSECOND
        relative = ratio(2 * MICROSECOND, duration) + 1e-9
        inputs = sum(r.prompt for r in self.done)
        outputs = sum(r.produced if self.decoded else 1 for r in self.done)
        ledger.near("duration", duration, 2 * MICROSECOND)
        ledger.same("total_input_tokens", inputs)
        ledger.same("total_output_tokens", outputs)
        for field, amount in (("request_throughput", len(self.done)), ("output_throughput", outputs),
                              ("total_token_throughput", inputs + outputs)):
            ledger.near(field, ratio(amount, duration), 0, relative)
        over = self.window_seconds if self.windowed else duration
        ledger.near("request_goodput", ratio(sum(r.slo_met for r in self.measured), over), 0,
                    ratio(3 * MICROSECOND, over) + 1e-9)

    def latencies(self) -> None:
        for name, values in (("ttft", [r.ttft for r in self.measured]), ("tpot", self.tpots()),
                             ("e2el", [r.e2el for r in self.measured])):
            figures = statistics([value * 1e-3 for value in values])
            for key in ("mean", "median", "std", "p99"):
                self.ledger.near(f"{key}_{name}_ms", figures.get(key), 1.01e-3)

    def tpot(self, row: Row) -> float:
        return (row.e2el - row.ttft) / (row.output - 1)

    def tpots(self) -> list[float]:
        return [self.tpot(r) for r in self.measured if self.decoded and r.output > 1]

    def slo(self) -> None:
        ledger, facts = self.ledger, self.facts
        ledger.same("slo.name", facts.slo_name)
        limits = facts.ttft_limit * 1e6, facts.tpot_limit * 1e6
        for field, limit in zip(("slo.ttft_ms", "slo.tpot_ms"), limits):
            ledger.near(field, None if limit == math.inf else limit * 1e-3)
        keeps: dict[int, list[tuple[bool, bool]]] = {-1: [], 1: []}  # by slack of a microsecond
        for row in self.measured:
            tpot = self.tpot(row) if self.decoded and row.output > 1 else -math.inf
            for slack, kept in keeps.items():
                kept.append((row.ttft <= limits[0] + slack, tpot <= limits[1] + slack))
            ledger.holds("requests.csv slo_met", all(keeps[-1][-1]) <= row.slo_met <= all(keeps[1][-1]),
                         "1 when both limits are kept")
        judged = len(self.measured) + sum(r.outcome in ("rejected", "failed") for r in self.rows)
        for i, field in enumerate(("slo.share_ttft", "slo.share_tpot")):
            least, most = (ratio(sum(kept[i] for kept in keeps[s]), judged) for s in (-1, 1))
            ledger.near(field, (least + most) / 2, (most - least) / 2)
        ledger.near("slo.share_both", ratio(sum(r.slo_met for r in self.measured), judged))
        samples = ([r.ttft for r in self.measured], limits[0]), (self.tpots(), limits[1])
        for field, figure in (("slo.met_on_mean", mean),
                              ("slo.met_at_p99", lambda values: nearest_rank(values, 0.99))):
            values = [(figure(v), most) for v, most in samples if v]
            ledger.same(field, bool(values) and all(value <= most for value, most in values),
                        unless=any(abs(value - most) <= 1 for value, most in values))

    def phases(self) -> None:
        total = math.fsum(r.finished - r.arrival for r in self.measured)
        sums: dict[str, float] = {}
        for phase in PHASES:
            values = [length(r.phases[phase]) for r in self.measured if phase in r.phases]
            if not values or (phase == "client_wait" and max(values) == 0):
                continue
            sums[phase] = math.fsum(values)
            for key, figure in (("mean", mean(values)), ("p50", percentile(values, 0.5)),
                                ("p99", percentile(values, 0.99))):
                self.ledger.near(f"phases.{phase}.{key}_ms", figure * 1e-3, 1.01e-3)
            self.ledger.near(f"phases.{phase}.share", ratio(sums[phase], total),
                             ratio(2.1 * len(values), total))
        slack = 2 * len(self.measured)
        slowest = [p for p in sums if sums[p] >= max(sums.values()) - slack] or [""]
        found = self.ledger.get("slowest_phase")
        self.ledger.same("slowest_phase", found if found in slowest else slowest[0])

    def window_and_load(self) -> None:
        ledger = self.ledger
        ledger.near("steady.from_s", self.window[0] * MICROSECOND, 2.1 * MICROSECOND)
        ledger.near("steady.to_s", self.window[1] * MICROSECOND, 2.1 * MICROSECOND)
        ledger.same("steady.steady", self.steady)
        drain = (self.last_end - self.last_send) * MICROSECOND
        writes = self.result["transfers"]["cache_write"]
        if self.partial or writes["count"]:  # the simulation ends with its last cache write
            longest = math.inf if self.partial else writes["max_ms"] * 1e-3
            ledger.within("load.drain_s", drain - 2 * MICROSECOND, drain + longest + 2 * MICROSECOND)
        else:
            ledger.near("load.drain_s", drain, 2 * MICROSECOND)

        arrivals = (self.last_send - self.t0) * MICROSECOND
        rate = ratio(len(self.sent), arrivals)
        ledger.near("load.arrival_rate", rate, 0, ratio(2 * MICROSECOND, arrivals) + 1e-9)
        waits = [span for r in self.sent for span in self.waits(r)]
        waiting = math.fsum(map(length, waits))
        latency = math.fsum((self.t1 if r.finished is None else r.finished) - r.sent for r in self.sent)
        share = ratio(waiting, latency)
        ledger.near("load.waiting_share", share, ratio(3 * len(self.sent), latency))
        third = (self.last_send - self.t0) / 3
        thirds = [(self.t0 + i * third, self.t0 + (i + 1) * third) for i in range(3)]
        levels = [ratio(math.fsum(overlap(span, part) for span in waits), third) for part in thirds]
        slack = ratio(3 * len(waits), third)
        for i, level in enumerate(levels):
            ledger.near(f"load.waiting_by_third.{i}", level, slack)
        scale = ratio(1, 2 * arrivals / 3 * rate)
        growth = (levels[2] - levels[0]) * scale
        ledger.near("load.growth_share", growth, 2 * slack * scale, 1e-6)
        served = ratio(latency - waiting, len(self.sent)) * MICROSECOND
        overloaded = levels[0] < levels[1] < levels[2] and (
            growth > 0.1 or (growth > 0.02 and levels[2] / rate > served))
        calm = "stable" if self.done else "unserved"
        ledger.same("load.verdict", "overloaded" if overloaded else
                    "backlogged" if share > 0.5 else calm,
                    unless=not overloaded and math.isclose(share, 0.5, rel_tol=1e-5))

    def waits(self, row: Row) -> Iterator[Interval]:
        """Where it waits; one that the end of the run cut off is still where its last phase left it."""
        kinds = {"prefill_queue", "batch_wait", "transfer_queue", "decode_queue"}
        yield from (span for phase, span in row.phases.items() if phase in kinds)
        if row.outcome != "unfinished":
            return
        entered = {"client_wait": "prefill_queue", "cache_read": "batch_wait",
                   "prefill": "transfer_queue", "transfer": "decode_queue"}
        if self.facts.role == "decode":
            entered["client_wait"] = "transfer_queue"
        elif not row.cached:
            entered["prefill_queue"] = "batch_wait"
        last, (_, end) = next(reversed(row.phases.items()))
        if entered.get(last) in kinds:
            yield end, self.t1

    def detailed(self) -> None:
        for i, row in enumerate(self.done):
            gaps = self.result["itls"][i]
            self.ledger.near(f"ttfts.{i}", row.ttft * MICROSECOND, 1.01 * MICROSECOND)
            self.ledger.same(f"input_lens.{i}", row.prompt)
            self.ledger.same(f"output_lens.{i}", row.output)
            time = length(row.phases.get("decode", (0, 0))) * MICROSECOND
            self.ledger.holds(f"itls.{i}", abs(time - math.fsum(gaps)) <= 2 * MICROSECOND
                              and min(gaps, default=0) >= 0, f"gaps that add up to {time}")
