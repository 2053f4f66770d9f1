"""Holds every field of result.json against requests.csv by the formulas of docs/output.md.

A field is *recomputed* from the CSV (or from other fields, where it is a ratio of them), *bounded* by an
invariant, or named in NOT_RECOMPUTED with the reason. A leaf that is none of the three is a failure,
so that whoever adds a field has to say how it can be wrong.
"""
from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from formulas import (PHASES, Interval, Iteration, Row, decode_steps, level_percentile, levels, mean,
                      nearest_rank, overlap, percentile, prefill_batches, share_inside, statistics)

MICROSECOND = 1e-6
INFINITY = math.inf
QUEUES = ("prefill_waiting", "prefill_running", "decode_waiting", "decode_running")

NOT_RECOMPUTED = {
    "breakdown.*.operators.*.name": "a label",
    "breakdown.*.operators.*.track": "a label",
    "breakdown.*.attention_ai[cv]": "a choice of the step model",
    "breakdown.*.microbatches": "a choice of the step model",
    "provenance.version": "of the program",
    "provenance.simgrid.*": "of the library",
    "provenance.*digest": "hashes of what the program read",
    "provenance.command": "the command line",
    "provenance.scenario": "the name of the file",
    "provenance.network_note": "text",
    "provenance.trace*": "what the reader says about its file; tests/work",
}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the scenario says, as numbers."""
    role: str
    seed: int
    network: str
    closed_loop: bool
    ttft_limit: float  # s
    tpot_limit: float
    slo_name: str
    prefill: dict[str, int]
    decode: dict[str, int]
    cache: dict[str, Any]
    block_ids: bool  # prompts are looked up
    nodes: int
    npus_per_node: int
    cpus_per_node: int
    ub_ports: int  # one pooled, or one for each sub-plane
    uplinks: int  # of a node
    cache_bytes: float  # DRAM of all nodes
    kv_bytes: int  # of a token, as pulled and cached
    hbm_bandwidth: float  # B/s of a die
    hbm_capacity: float
    rdma_capacity: float  # B/s of a port
    rdma_efficiency: float


@dataclasses.dataclass(frozen=True)
class Reading:
    """One way to read what is open; the judge accepts any of them."""
    edge: float = 0  # µs: shifts the start of the steady window, on which requests may end
    batch_wait_waits: bool = False  # `load` counts it as waiting, docs/output.md does not
    since_zero: bool = False  # links[].utilisation is of the time since 0, docs/output.md: since the first send


@dataclasses.dataclass(frozen=True)
class Failure:
    field: str
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        return f"{self.field}: ours {self.ours}, theirs {self.theirs}"


class Ledger:
    """Which fields were judged, how, and which failed."""

    def __init__(self, result: dict[str, Any]) -> None:
        self.leaves = dict(leaves({k: v for k, v in result.items() if k != "itls"}))
        self.recomputed: set[str] = set()
        self.bounded: set[str] = set()
        self.failures: list[Failure] = []

    def get(self, field: str) -> Any:
        return self.leaves.get(field)

    def same(self, field: str, expected: Any) -> None:
        self.recomputed.add(field)
        if field not in self.leaves or self.leaves[field] != expected:
            self.failures.append(Failure(field, expected, self.get(field)))

    def near(self, field: str, expected: float | None, absolute: float = 0, relative: float = 1e-9) -> None:
        """Recomputed to within absolute + relative; None expects null."""
        if expected is None:
            return self.same(field, None)
        slack = absolute + relative * abs(expected)
        self.within(field, expected - slack, expected + slack, expected)
        self.bounded.discard(field)
        self.recomputed.add(field)

    def within(self, field: str, low: float, high: float, shown: Any = None) -> None:
        self.bounded.add(field)
        found = self.get(field)
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not low <= found <= high:
            self.failures.append(Failure(field, shown if shown is not None else f"{low:.9g} to {high:.9g}", found))

    def holds(self, field: str, truth: bool, what: str) -> None:
        if not truth:
            self.failures.append(Failure(field, what, self.get(field)))

    def unjudged(self) -> Iterator[Failure]:
        judged = self.recomputed | self.bounded
        for field, value in self.leaves.items():
            if field not in judged and not any(
                    fnmatch.fnmatchcase(field, pattern) for pattern in NOT_RECOMPUTED):
                yield Failure(field, "a formula, a bound or a line in NOT_RECOMPUTED", value)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if members is None:
        yield path, value
        return
    for key, member in members:
        yield from leaves(member, f"{path}.{key}" if path else str(key))


class Judge:
    def __init__(self, result: dict[str, Any], rows: Sequence[Row], facts: Facts, reading: Reading) -> None:
        self.result, self.rows, self.facts, self.reading = result, rows, facts, reading
        self.ledger = Ledger(result)
        self.sent = [r for r in rows if r.sent is not None]
        self.done = [r for r in rows if r.done]
        self.partial = any(r.outcome == "unfinished" for r in rows)
        self.attach_gaps()
        self.batches: list[Iteration] | None = None
        self.steps: list[Iteration] | None = None
        self.calm = not self.partial and all(r.done and not r.preemptions for r in self.sent
                                             if r.outcome != "rejected")
        self.t0 = min((r.sent for r in self.sent), default=0)
        self.last_send = max((r.sent for r in self.sent), default=0)
        ends = [r.finished for r in rows if r.finished is not None]
        last = max(ends, default=self.last_send)
        self.t1 = self.last_send + result["load"]["drain_s"] * 1e6  # held against `last` below
        self.last_end = last
        self.elapsed = (self.t1 - self.t0) * MICROSECOND
        self.window, self.steady = self.steady_window()
        self.measured = self.measured_requests()

    def attach_gaps(self) -> None:
        for row, ttft, gaps in zip(self.done, self.result["ttfts"], self.result["itls"]):
            row.gaps = gaps

    def steady_window(self) -> tuple[Interval, bool]:
        arrivals = self.last_send - self.t0
        if arrivals <= 1e-3 * (self.t1 - self.t0):
            return (self.t0, self.t1), False
        latencies = [r.e2el for r in self.done if not r.initial]
        ramp = min(percentile(latencies, 0.9), arrivals / 3) if latencies else arrivals / 3
        return (self.t0 + ramp, self.last_send), True

    def in_window(self, time: float) -> bool:
        return self.window[0] + self.reading.edge < time <= self.window[1] + 1.5

    def measured_requests(self) -> list[Row]:
        fresh = [r for r in self.done if not r.initial]
        if self.facts.role == "all" or not self.steady:
            return fresh
        return [r for r in fresh if self.in_window(r.finished)] or fresh

    def run(self) -> Ledger:
        if self.decoded() and self.calm:
            self.steps = decode_steps(self.rows)
        for judge in (self.counts, self.throughput, self.latencies, self.gaps, self.window_and_load, self.slo,
                      self.phases, self.prefill, self.decode, self.kv, self.cache, self.queues, self.transfers,
                      self.links, self.breakdown, self.detailed, self.conservation):
            judge()
        self.ledger.failures.extend(self.ledger.unjudged())
        return self.ledger

    # -- requests and latencies ---------------------------------------------------------------------------------

    def counts(self) -> None:
        outcomes = Counter(r.outcome for r in self.rows)
        self.ledger.same("requests.total", len(self.rows))
        for outcome in ("finished", "rejected", "failed", "unfinished"):
            self.ledger.same(f"requests.{outcome}", outcomes[outcome])
        self.ledger.same("completed", outcomes["finished"])
        self.ledger.same("requests.preempted", sum(r.preemptions > 0 for r in self.rows))
        reasons = Counter(r.reason for r in self.rows if not r.done)
        for reason, count in reasons.items():
            self.ledger.same(f"requests.by_reason.{reason}", count)
        self.ledger.same("partial", self.partial)
        self.ledger.same("provenance.seed", self.facts.seed)
        self.ledger.same("provenance.network", self.facts.network)

    def throughput(self) -> None:
        ledger = self.ledger
        finishes = [r.finished for r in self.done]
        end = max(finishes) if finishes and not self.partial else self.t1
        duration = (end - self.t0) * MICROSECOND
        ledger.near("duration", duration, 2 * MICROSECOND)
        relative = 2 * MICROSECOND / duration + 1e-9 if duration > 0 else 1
        inputs = sum(r.prompt for r in self.done)
        outputs = sum(1 if self.facts.role == "prefill" else r.produced for r in self.done)
        ledger.same("total_input_tokens", inputs)
        ledger.same("total_output_tokens", outputs)
        rate = lambda amount: amount / duration if duration > 0 else 0
        ledger.near("request_throughput", rate(len(self.done)), 0, relative)
        ledger.near("output_throughput", rate(outputs), 0, relative)
        ledger.near("total_token_throughput", rate(inputs + outputs), 0, relative)
        good = sum(r.slo_met for r in self.measured)
        if self.facts.role != "all" and self.steady and self.one_role_window():
            duration = (self.window[1] - self.window[0]) * MICROSECOND
        ledger.near("request_goodput", rate(good), 0, relative + 3 * MICROSECOND / duration if duration else 1)

    def one_role_window(self) -> bool:
        return any(self.in_window(r.finished) for r in self.done if not r.initial)

    def distribution(self, name: str, milliseconds: Sequence[float], slack: float = 1.01e-3) -> None:
        figures = statistics(milliseconds) if milliseconds else {}
        for key in ("mean", "median", "std", "p99"):
            self.ledger.near(f"{key}_{name}_ms", figures.get(key), slack)

    def decoded(self) -> bool:
        return self.facts.role != "prefill"

    def latencies(self) -> None:
        for row in self.done:
            first = row.phases["first_iteration" if self.decoded() else "prefill"][1]
            self.ledger.holds("requests.csv ttft_s", row.ttft == first - row.sent, "first token - sent")
            self.ledger.holds("requests.csv e2el_s", row.e2el == row.finished - row.sent, "finished - sent")
            ends = max(end for _, end in row.phases.values())
            self.ledger.holds("requests.csv phases", ends == row.finished, "phases that add up to the latency")
            if self.decoded() and row.output > 1:
                tpot = (row.finished - first) / (row.output - 1)
                self.ledger.holds("requests.csv tpot_s", abs(row.tpot - tpot) <= 0.51, f"{tpot}")
        self.distribution("ttft", [r.ttft * 1e-3 for r in self.measured])
        self.distribution("tpot", [self.tpot(r) * 1e-3 for r in self.with_tpot()])
        self.distribution("e2el", [r.e2el * 1e-3 for r in self.measured])

    def with_tpot(self) -> list[Row]:
        return [r for r in self.measured if self.decoded() and r.output > 1]

    def tpot(self, row: Row) -> float:
        return (row.e2el - row.ttft) / (row.output - 1)

    def gaps(self) -> None:
        """Of one role alone only steps that end in the window."""
        fields = [f"{key}_itl_ms" for key in ("mean", "median", "std", "p99")]
        if self.steps is None:
            for field in fields:
                if not self.decoded() or self.ledger.get(field) is None:
                    self.ledger.same(field, None)
                else:
                    self.ledger.within(field, 0, self.result["decode"]["iteration_ms"]["max"] * (1 + 1e-9))
            return
        whole = self.facts.role == "all" or not self.steady or not self.one_role_window()
        gaps = [step.seconds * 1e3 for step in self.steps if whole or self.in_window(step.end)
                for _ in range(step.gaps)]
        self.distribution("itl", gaps, 1e-6)

    def slo(self) -> None:
        ledger, facts = self.ledger, self.facts
        limit = lambda seconds: None if seconds == INFINITY else seconds * 1e3
        ledger.same("slo.name", facts.slo_name)
        ledger.near("slo.ttft_ms", limit(facts.ttft_limit))
        ledger.near("slo.tpot_ms", limit(facts.tpot_limit))
        limits = facts.ttft_limit * 1e6, facts.tpot_limit * 1e6
        low, high = Counter(), Counter()  # of requests so close to a limit that a microsecond decides
        for row in self.measured:
            tpot = self.tpot(row) if self.decoded() and row.output > 1 else -INFINITY
            for count, slack in ((low, -1), (high, 1)):
                kept = row.ttft <= limits[0] + slack, tpot <= limits[1] + slack
                count["share_ttft"] += kept[0]
                count["share_tpot"] += kept[1]
                ledger.holds("requests.csv slo_met", row.slo_met <= all(kept) if slack > 0 else
                             row.slo_met >= all(kept), "1 when both limits are kept")
        judged = len(self.measured) + sum(r.outcome in ("rejected", "failed") for r in self.rows)
        for key in ("share_ttft", "share_tpot"):
            counted = (low[key] + high[key]) / 2
            ledger.near(f"slo.{key}", counted / judged if judged else 0, (high[key] - counted) / max(1, judged))
        ledger.near("slo.share_both", sum(r.slo_met for r in self.measured) / judged if judged else 0)
        samples = ([r.ttft for r in self.measured], limits[0]), ([self.tpot(r) for r in self.with_tpot()], limits[1])
        for field, figure in (("met_on_mean", mean), ("met_at_p99", lambda v: nearest_rank(v, 0.99))):
            values = [(figure(v), most) for v, most in samples if v]
            if all(abs(value - most) > 1 for value, most in values):
                ledger.same(f"slo.{field}", bool(values) and all(value <= most for value, most in values))
            else:
                ledger.bounded.add(f"slo.{field}")

    def phases(self) -> None:
        total = math.fsum(r.finished - r.arrival for r in self.measured)
        sums: dict[str, float] = {}
        for phase in PHASES:
            spans = [r.phases[phase] for r in self.measured if phase in r.phases]
            values = [(end - start) * 1e-3 for start, end in spans]
            if not values or (phase == "client_wait" and not self.facts.closed_loop):
                continue
            if phase == "client_wait" and max(values) == 0 and f"phases.{phase}.share" not in self.ledger.leaves:
                continue
            sums[phase] = math.fsum(values) * 1e3
            for key, figure in (("mean", mean(values)), ("p50", percentile(values, 0.5)),
                                ("p99", percentile(values, 0.99))):
                self.ledger.near(f"phases.{phase}.{key}_ms", figure, 1.01e-3)
            self.ledger.near(f"phases.{phase}.share", sums[phase] / total if total else 0,
                             2.1 * len(values) / total if total else 0)
        slowest = max(sums.values(), default=0)
        near = [phase for phase in sums if sums[phase] >= slowest - 2 * len(self.measured)] or [""]
        self.ledger.same("slowest_phase", self.ledger.get("slowest_phase")
                         if self.ledger.get("slowest_phase") in near else near[0])

    # -- steadiness -----------------------------------------------------------------------------------------------

    def window_and_load(self) -> None:
        ledger = self.ledger
        ledger.near("steady.from_s", self.window[0] * 1e-6, 2.1 * MICROSECOND)
        ledger.near("steady.to_s", self.window[1] * 1e-6, 2.1 * MICROSECOND)
        ledger.same("steady.steady", self.steady)
        arrivals = (self.last_send - self.t0) * MICROSECOND
        rate = len(self.sent) / arrivals if arrivals else 0
        ledger.near("load.arrival_rate", rate, 0, 2 * MICROSECOND / arrivals + 1e-9 if arrivals else 0)
        drain = (self.last_end - self.last_send) * MICROSECOND
        writes = self.result["transfers"]["cache_write"]
        if self.partial or writes["count"]:  # the simulation ends with its last cache write
            longest = INFINITY if self.partial else writes["max_ms"] * 1e-3
            ledger.within("load.drain_s", drain - 2 * MICROSECOND, drain + longest + 2 * MICROSECOND)
        else:
            ledger.near("load.drain_s", drain, 2 * MICROSECOND)
        waits = [span for r in self.sent for span in self.waits(r)]
        waiting = math.fsum(end - start for start, end in waits)
        latency = math.fsum((self.t1 if r.finished is None else r.finished) - r.sent for r in self.sent)
        share = waiting / latency if latency else 0
        ledger.near("load.waiting_share", share, 3 * len(self.sent) / latency if latency else 0)
        third = (self.last_send - self.t0) / 3
        thirds = [math.fsum(overlap(span, (self.t0 + i * third, self.t0 + (i + 1) * third)) for span in waits) / third
                  if third else 0 for i in range(3)]
        slack = 3 * len(waits) / third if third else 0
        for i, level in enumerate(thirds):
            ledger.near(f"load.waiting_by_third.{i}", level, slack)
        growth = (thirds[2] - thirds[0]) / (2 * arrivals / 3) / rate if arrivals else 0
        ledger.near("load.growth_share", growth, 2 * slack / (2 * arrivals / 3) / rate if arrivals else 0, 1e-6)
        grows = thirds[0] < thirds[1] < thirds[2]
        served = (latency - waiting) * MICROSECOND / max(1, len(self.sent))
        overloaded = grows and (growth > 0.1 or (growth > 0.02 and thirds[2] / rate > served))
        verdict = "overloaded" if overloaded else "backlogged" if share > 0.5 else "stable"
        if math.isclose(share, 0.5, rel_tol=1e-5) and not overloaded:
            ledger.bounded.add("load.verdict")
        else:
            ledger.same("load.verdict", verdict)

    def waits(self, row: Row) -> Iterator[Interval]:
        """Where it waits; one that the end of the run cut off is still where its last phase left it."""
        kinds = ("prefill_queue", "transfer_queue", "decode_queue") + (
            ("batch_wait",) if self.reading.batch_wait_waits else ())
        for phase in kinds:
            if phase in row.phases:
                yield row.phases[phase]
        if row.outcome != "unfinished":
            return
        entered = {"client_wait": "transfer_queue" if self.facts.role == "decode" else "prefill_queue",
                   "prefill": "transfer_queue", "transfer": "decode_queue",
                   "cache_read": "batch_wait"}
        if self.facts.role != "decode" and not row.cached:
            entered["prefill_queue"] = "batch_wait"
        last = next(reversed(row.phases), "client_wait")
        if entered.get(last) in kinds:
            yield row.phases[last][1] if last in row.phases else row.sent, self.t1

    # -- roles ----------------------------------------------------------------------------------------------------

    def role(self, name: str, spec: dict[str, int]) -> None:
        """Ratios between the fields of a role, and their bounds."""
        role, ledger = self.result[name], self.ledger
        npus = spec["instances"] * spec["npus_per_instance"]
        ledger.same(f"{name}.instances", spec["instances"])
        ledger.same(f"{name}.npus", npus)
        iterations, times = role["iterations"], role["iteration_ms"]
        ledger.same(f"{name}.iteration_ms.count", iterations)
        busy = iterations * times["mean"] * 1e-3
        instance_seconds = self.elapsed * spec["instances"]
        ledger.near(f"{name}.utilisation", busy / instance_seconds if instance_seconds else 0, 0,
                    3 * MICROSECOND / self.elapsed + 1e-9 if self.elapsed else 1)
        ledger.within(f"{name}.utilisation", 0, 1 + 1e-9)
        ledger.within(f"{name}.occupancy", 0, 1 + 1e-9)
        for key in ("tokens_per_second", "steady_tokens_per_second"):
            ledger.near(f"{name}.{key}_per_npu", role[key] / npus)
        for low, high in (("median", "p99"), ("p99", "max"), ("mean", "max")):
            ledger.within(f"{name}.iteration_ms.{low}", 0, times[high] * (1 + 1e-9))
        ledger.within(f"{name}.iteration_ms.std", 0, times["max"])
        ledger.within(f"{name}.iteration_ms.max", 0, INFINITY)
        hbm = role["hbm"]
        die_seconds = busy * spec["npus_per_instance"] * 2
        ledger.within(f"{name}.hbm.bytes", 0, self.facts.hbm_bandwidth * die_seconds * (1 + 1e-9))
        ledger.near(f"{name}.hbm.busy_bandwidth_per_die", hbm["bytes"] / die_seconds if die_seconds else 0)
        ledger.near(f"{name}.hbm.busy_utilisation", hbm["busy_bandwidth_per_die"] / self.facts.hbm_bandwidth)
        ledger.near(f"{name}.hbm.utilisation", hbm["busy_utilisation"] * role["utilisation"])
        ledger.within(f"{name}.ub_bytes", 0, INFINITY)
        ledger.within(f"{name}.iterations", 0, INFINITY)
        ledger.within(f"{name}.steady_iteration_ms", 0, times["max"] * (1 + 1e-9))
        ledger.within(f"{name}.mean_sequences", 0, INFINITY)
        ledger.within(f"{name}.mean_tokens", 0, INFINITY)
        ledger.near(f"{name}_tokens_per_second_per_npu", role["steady_tokens_per_second_per_npu"])

    def iterations(self, name: str, found: Sequence[Any], slack: float) -> None:
        """The figures of a role's iterations, when the CSV shows all of them."""
        ledger, count = self.ledger, len(found)
        ledger.same(f"{name}.iterations", count)
        ledger.near(f"{name}.mean_sequences", sum(i.sequences for i in found) / count if count else 0)
        ledger.near(f"{name}.mean_tokens", sum(i.tokens for i in found) / count if count else 0, 1e-9)
        figures = statistics([i.seconds * 1e3 for i in found]) if found else dict.fromkeys(
            ("mean", "median", "std", "p99", "max"), 0)
        for key, figure in figures.items():
            ledger.near(f"{name}.iteration_ms.{key}", figure, slack)

    def prefill(self) -> None:
        if self.facts.role == "decode":
            self.ledger.same("prefill", None)
            self.ledger.same("prefill_tokens_per_second_per_npu", None)
            return
        spec, ledger, role = self.facts.prefill, self.ledger, self.result["prefill"]
        budget = spec["max_num_batched_tokens"] * spec["npus_per_instance"]
        self.role("prefill", spec)
        prefilled = [r for r in self.rows if "prefill" in r.phases]
        relative = 3 * MICROSECOND / self.elapsed + 1e-9 if self.elapsed else 1
        ledger.near("prefill.tokens_per_second",
                    sum(r.prompt for r in prefilled) / self.elapsed if self.elapsed else 0, 0, relative)
        length = (self.window[1] - self.window[0]) * MICROSECOND
        tokens = math.fsum(r.prompt * share_inside(r.phases["prefill"], self.window) for r in prefilled)
        edge = math.fsum(r.prompt * 3 / max(1, r.phases["prefill"][1] - r.phases["prefill"][0]) for r in prefilled
                         if overlap(r.phases["prefill"], self.window))
        ledger.near("prefill.steady_tokens_per_second", tokens / length if length else 0,
                    edge / length if length else 0, 4 * MICROSECOND / length + 1e-9 if length else 1)
        ledger.near("prefill.occupancy", role["mean_tokens"] / budget)
        ledger.near("prefill.steady_iteration_ms", role["iteration_ms"]["mean"])
        if self.calm:
            fresh = sum(r.prompt - r.cached for r in prefilled)
            ledger.near("prefill.mean_tokens", fresh / role["iterations"] if prefilled else 0)
            self.batches = prefill_batches(self.rows, budget)
            if self.batches is not None:
                self.iterations("prefill", self.batches, 1.01e-3)

    def decode(self) -> None:
        ledger = self.ledger
        ledger.near("decode_layer_us", self.ledger.get("breakdown.decode.layer_us"))
        if not self.decoded():
            for field in ("decode", "decode_tokens_per_second_per_npu", "decode_iteration_ms"):
                ledger.same(field, None)
            ledger.near("steady.output_throughput", 0)
            return
        spec, role = self.facts.decode, self.result["decode"]
        self.role("decode", spec)
        ledger.near("decode_iteration_ms", role["steady_iteration_ms"])
        ledger.near("steady.output_throughput", role["steady_tokens_per_second"])
        slots = spec["max_num_seqs"] * spec["npus_per_instance"] * spec["instances"]
        finished = sum(r.produced for r in self.done)
        ledger.within("decode.tokens_per_second", finished / self.elapsed * (1 - 1e-6) if self.elapsed else 0,
                      sum(r.produced for r in self.sent) / self.elapsed * (1 + 1e-6) if self.elapsed else 0)
        ledger.near("decode.mean_sequences", sum(r.iterations for r in self.rows) / role["iterations"]
                    if self.calm and role["iterations"] else role["mean_sequences"])
        ledger.near("decode.mean_tokens", role["tokens_per_second"] * self.elapsed / max(1, role["iterations"]), 0,
                    3 * MICROSECOND / self.elapsed + 1e-9 if self.elapsed else 1)
        ledger.within("decode.steady_tokens_per_second", 0, INFINITY)
        if self.steps is None:
            return
        relative = 3 * MICROSECOND / self.elapsed + 1e-9 if self.elapsed else 1
        ledger.near("decode.tokens_per_second", finished / self.elapsed if self.elapsed else 0, 0, relative)
        self.iterations("decode", self.steps, 1.01e-3)
        area = math.fsum(step.sequences * step.seconds for step in self.steps)
        ledger.near("decode.occupancy", area / (slots * self.elapsed) if self.elapsed else 0, 0,
                    relative + 2 * MICROSECOND * sum(s.sequences for s in self.steps) / max(area, MICROSECOND))
        inside = [step.seconds * 1e3 for step in self.steps if self.in_window(step.end)]
        ledger.near("decode.steady_iteration_ms", mean(inside) if inside else 0, 1.01e-3)
        length = (self.window[1] - self.window[0]) * MICROSECOND
        emitted = math.fsum(step.tokens * share_inside((step.start, step.end), self.window) for step in self.steps)
        # Whole tokens are reported: off by one where the window cuts, and by the fraction that a request of the
        # first population came with.
        slack = 2.1 * spec["instances"] * (spec["draft_tokens"] > 0) + sum(r.initial > 0 for r in self.rows)
        ledger.near("decode.steady_tokens_per_second", emitted / length if length else 0,
                    slack / length if length else 0, 1e-5)

    def kv(self) -> None:
        ledger, kv = self.ledger, self.result["kv"]
        if not self.decoded():
            for key in ("capacity_tokens", "mean_occupancy", "peak_occupancy"):
                ledger.same(f"kv.{key}", 0)
            return
        dies = self.facts.decode["instances"] * self.facts.decode["npus_per_instance"] * 2
        ledger.within("kv.capacity_tokens", dies, dies * self.facts.hbm_capacity / self.facts.kv_bytes)
        ledger.holds("kv.capacity_tokens", kv["capacity_tokens"] % dies == 0, f"a multiple of {dies} dies")
        ledger.within("kv.peak_occupancy", kv["mean_occupancy"], 1)
        ledger.within("kv.mean_occupancy", 0, 1)
        if self.steps is None or not self.elapsed:
            return
        # Reserved: the prompt from the pull on (from some time in the queue where nothing is pulled), and
        # growing evenly, a step's share at its end.
        grown = waited = 0.0
        for row in self.done:
            held, begin = row.prompt + row.initial, row.phases.get("transfer_queue", (0, row.sent))[1]
            first, end = row.phases["first_iteration"]
            waited += held * (first - begin)
            each = row.produced / row.iterations
            grown += held * (end - first)
            grown += math.fsum((held + each * (i + 1)) * gap * 1e6 for i, gap in enumerate(row.gaps))
        least, most = (area * MICROSECOND / self.elapsed / kv["capacity_tokens"] for area in (grown, grown + waited))
        running = self.result["queues"]["decode_running"]["mean"]  # each die's tokens are rounded down
        slack = min(dies, running) / kv["capacity_tokens"] + 1e-5 * most
        if self.facts.role == "all":
            ledger.near("kv.mean_occupancy", most, slack)
        else:
            ledger.within("kv.mean_occupancy", least - slack, most + slack)

    def cache(self) -> None:
        ledger, cache, spec = self.ledger, self.result["cache"], self.facts.cache
        ledger.same("cache.enabled", spec["enabled"] and self.facts.role != "decode")
        ledger.same("cache.block_size", spec["block_size"])
        ledger.near("cache.imposed_reuse", spec.get("reuse"))
        blocks = math.floor(self.facts.cache_bytes / (spec["block_size"] * self.facts.kv_bytes))
        ledger.same("cache.capacity_blocks", blocks if spec["enabled"] else 0)
        ratio = lambda part, whole: part / whole if whole else 0
        ledger.near("cache.hit_rate_by_block", ratio(cache["hit_blocks"], cache["lookup_blocks"]))
        ledger.near("cache.hit_rate_by_token", ratio(cache["hit_tokens"], cache["lookup_tokens"]))
        ledger.near("cache.occupancy", ratio(cache["stored_blocks"], cache["capacity_blocks"]))
        ledger.within("cache.peak_blocks", cache["stored_blocks"], cache["capacity_blocks"])
        ledger.within("cache.stored_blocks", 0, cache["peak_blocks"])
        ledger.within("cache.evicted_blocks", 0, INFINITY)
        ledger.within("cache.lookup_blocks", 0, INFINITY)
        ledger.within("cache.hit_blocks", 0, cache["lookup_blocks"])
        ledger.within("cache.lookup_tokens", 0, INFINITY)
        ledger.within("cache.hit_tokens", 0, cache["lookup_tokens"])
        for row in self.rows:
            ledger.holds("requests.csv cached_tokens", 0 <= row.cached < row.prompt, "less than the prompt")
        if self.calm:
            looked_up = [r for r in self.rows if r.prefill_instance and self.facts.block_ids]
            block = spec["block_size"]
            ledger.same("cache.lookup_blocks", sum(math.ceil(r.prompt / block) for r in looked_up))
            ledger.same("cache.hit_blocks", sum(math.ceil(r.cached / block) for r in looked_up))
            ledger.within("transfers.cache_write.bytes", 0, (cache["lookup_tokens"]-cache["hit_tokens"]) * self.facts.kv_bytes)
            ledger.same("cache.lookup_tokens", sum(r.prompt for r in looked_up))
            ledger.same("cache.hit_tokens", sum(r.cached for r in looked_up))

    # -- queues and wires -----------------------------------------------------------------------------------------

    def residence(self, row: Row, queue: str) -> Interval | None:
        """From when to when a request that finished without losing its KV was in the queue."""
        start = {"prefill_waiting": row.sent, "prefill_running": row.phases.get("prefill", (0, 0))[0],
                 "decode_waiting": row.phases.get("prefill", (0, row.sent))[1],
                 "decode_running": row.phases.get("first_iteration", (0, 0))[0]}
        names = [q for q in QUEUES if self.facts.role == "all" or q.startswith(self.facts.role)]
        if queue not in names:
            return None
        after = [start[q] for q in names[names.index(queue) + 1:]] + [row.finished]
        return start[queue], after[0]

    def queues(self) -> None:
        ledger, queues = self.ledger, self.result["queues"]
        window = (self.t0, self.t1)
        span = self.t1 - self.t0
        for queue in QUEUES:
            found = queues[queue]
            ledger.within(f"queues.{queue}.mean", 0, found["max"])
            ledger.within(f"queues.{queue}.p99", 0, found["max"])
            ledger.within(f"queues.{queue}.max", 0, len(self.sent))
            if not self.calm or not span:
                continue
            stays = [stay for r in self.done if (stay := self.residence(r, queue))]
            ledger.near(f"queues.{queue}.mean", math.fsum(overlap(stay, window) for stay in stays) / span,
                        2 * len(stays) / span, 3 / span + 1e-9)
            slack = min(4.0 * len(stays), 0.005 * span)
            time_at = levels(stays, window)
            p99 = [level_percentile(time_at, 0.99, side * slack) for side in (-1, 0, 1)]
            least, _, most = ([(s + m, e - m) for s, e in stays] for m in (1.1, 0, -1.1))
            peak = [max(levels(some, (-INFINITY, INFINITY)), default=0) for some in (least, most)]
            if queue == "prefill_waiting" and self.batches is None:
                peak[1] += self.facts.prefill["instances"]  # a chunked prompt is for an instant between its batches
            for key, (low, high) in (("p99", (p99[0], p99[2])), ("max", (peak[0], peak[1]))):
                ledger.within(f"queues.{queue}.{key}", low, high)
                if low == high:
                    ledger.recomputed.add(f"queues.{queue}.{key}")
        # Little's law for the whole system, whatever happened in it.
        stays = [(r.sent, self.t1 if r.finished is None else r.finished) for r in self.sent]
        if span:
            inside, total = math.fsum(e - s for s, e in stays) / span, math.fsum(queues[q]["mean"] for q in QUEUES)
            ledger.holds("queues.*.mean", abs(inside - total) <= 3 * len(stays) / span + 1e-6 * inside,
                         f"a sum of {inside} (Little's law)")

    def transfers(self) -> None:
        ledger = self.ledger
        for kind, found in self.result["transfers"].items():
            field = f"transfers.{kind}"
            seconds = found["count"] * found["mean_ms"] * 1e-3
            ledger.near(f"{field}.mean_bandwidth", found["bytes"] / seconds if seconds else 0)
            ledger.within(f"{field}.mean_ms", 0, found["max_ms"] * (1 + 1e-9))
            ledger.within(f"{field}.max_ms", found["mean_ms"] * (1 - 1e-9), INFINITY)
            ledger.within(f"{field}.count", 0, INFINITY)
            ledger.within(f"{field}.bytes", 0, INFINITY)
        if not self.calm:
            return
        pulled = [r for r in self.done if "transfer" in r.phases]
        times = [(end - start) * 1e-3 for start, end in (r.phases["transfer"] for r in pulled)]
        ledger.same("transfers.kv_pull.count", len(pulled))
        ledger.same("transfers.kv_pull.bytes", sum(r.prompt for r in pulled) * self.facts.kv_bytes)
        ledger.near("transfers.kv_pull.mean_ms", mean(times) if times else 0, 1.01e-3)
        ledger.near("transfers.kv_pull.max_ms", max(times, default=0), 1.01e-3)
        ledger.same("transfers.cache_read.bytes", sum(r.cached for r in self.done) * self.facts.kv_bytes)

    def links(self) -> None:
        ledger, facts, transfers = self.ledger, self.facts, self.result["transfers"]
        dies = facts.nodes * facts.npus_per_node * 2
        ub = facts.ub_ports  # of a die, a CPU or a node
        ports = {"die_ub": dies * ub, "cpu_ub": facts.nodes * facts.cpus_per_node * ub,
                 "uplink": facts.nodes * facts.uplinks, "die_to_die": dies, "rdma": dies, "vpc": facts.nodes}
        moved = {kind: found["bytes"] for kind, found in transfers.items()}
        on_ub = facts.cache.get("plane", "ub") == "ub"
        read, written = moved["cache_read"], moved["cache_write"]
        exact = {("rdma", "out"): moved["kv_pull"], ("rdma", "in"): moved["kv_pull"],
                 ("die_to_die", "out"): 0, ("die_to_die", "in"): 0}
        if on_ub:
            exact |= {("die_ub", "in"): read, ("cpu_ub", "out"): read, ("die_ub", "out"): written,
                      ("cpu_ub", "in"): written, ("vpc", "out"): 0, ("vpc", "in"): 0}
        for i, link in enumerate(self.result["links"]):
            field, kind = f"links.{i}", (link["class"], link["direction"])
            ledger.same(f"{field}.class", list(ports)[i // 2])
            ledger.same(f"{field}.direction", ("out", "in")[i % 2])
            ledger.same(f"{field}.ports", ports.get(link["class"]))
            ledger.within(f"{field}.bytes", 0, sum(moved.values()) if not self.partial else INFINITY)
            if not self.partial and exact.get(kind) is not None:
                ledger.near(f"{field}.bytes", exact[kind])
            ledger.within(f"{field}.utilisation", 0, link["highest_utilisation"] * (1 + 1e-9))
            ledger.within(f"{field}.highest_utilisation", 0, 1 + 1e-9)
            if link["class"] == "rdma" and self.elapsed and not self.partial:
                wire = link["bytes"] / facts.rdma_efficiency
                seconds = self.t1 * MICROSECOND if self.reading.since_zero else self.elapsed
                ledger.near(f"{field}.utilisation", wire / (dies * facts.rdma_capacity * seconds), 0, 1e-5)

    # -- the rest -------------------------------------------------------------------------------------------------

    def breakdown(self) -> None:
        for phase in ("decode", "prefill"):
            found, field = self.result["breakdown"][phase], f"breakdown.{phase}"
            if not isinstance(found, dict):
                self.ledger.same(field, None)
                continue
            ledger, duration = self.ledger, found["duration_us"]
            ledger.near(f"{field}.duration_us", math.fsum(found["parts_us"].values()))
            for part, time in found["parts_us"].items():
                ledger.within(f"{field}.parts_us.{part}", -1e-9 * duration, duration * (1 + 1e-9))
            ledger.within(f"{field}.layer_us", 0, duration)
            tracks: dict[str, float] = {}
            for i, op in enumerate(found["operators"]):
                tracks[op["track"]] = tracks.get(op["track"], 0) + op["duration_us"]
                ledger.within(f"{field}.operators.{i}.alone_us", 0, op["duration_us"] * (1 + 1e-6))
                ledger.within(f"{field}.operators.{i}.duration_us", op["alone_us"] * (1 - 1e-6), duration)
                ledger.within(f"{field}.operators.{i}.hbm_bytes", 0,
                              self.facts.hbm_bandwidth * op["duration_us"] * MICROSECOND * (1 + 1e-6))
            for track, busy in found["streams_us"].items():
                ledger.near(f"{field}.streams_us.{track}", tracks.get(track, 0), 0, 1e-6)
            path = found["critical_path_us"]
            for name in path:
                ledger.within(f"{field}.critical_path_us.{name}", 0, duration * (1 + 1e-9))
            ledger.holds(f"{field}.critical_path_us", math.isclose(
                math.fsum(path.values()), duration - found["parts_us"]["launch"], rel_tol=1e-6),
                f"a sum of {duration - found['parts_us']['launch']}")
            for name, loss in found["losses"].items():
                ledger.within(f"{field}.losses.{name}.us", -0.1 * duration, duration)
                ledger.near(f"{field}.losses.{name}.share", loss["us"] / duration)

    def detailed(self) -> None:
        ledger = self.ledger
        for i, row in enumerate(self.done):
            ledger.near(f"ttfts.{i}", row.ttft * MICROSECOND, 1.01 * MICROSECOND)
            ledger.same(f"input_lens.{i}", row.prompt)
            ledger.same(f"output_lens.{i}", row.output)
            decode = row.phases.get("decode")
            gaps = self.result["itls"][i]
            length = (decode[1] - decode[0]) * MICROSECOND if decode else 0
            ledger.holds(f"itls.{i}", abs(length - math.fsum(gaps)) <= 2 * MICROSECOND and min(gaps, default=0) >= 0,
                         f"gaps that add up to {length}")

    def conservation(self) -> None:
        """What every row must be, whatever its outcome."""
        for row in self.rows:
            if row.done and self.decoded():
                most = row.iterations * (1 + self.facts.decode.get("draft_tokens", 0))
                self.ledger.holds("requests.csv iterations", row.iterations <= row.produced <= most
                                  or row.initial > 0, f"tokens between {row.iterations} and {most}")
            spans = list(row.phases.values())
            self.ledger.holds("requests.csv phases", all(s <= e for s, e in spans), "phases that go forward")
