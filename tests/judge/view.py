"""What a scenario says as numbers, and a run seen through its requests.csv."""
from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from formulas import Change, Interval, Iteration, Row, decode_steps, length, prefill_batches
from ledger import Ledger

MICROSECOND = 1e-6
ROUNDED = 1.5  # µs by which moments that are one may differ


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the scenario says; capacities are of one die or port."""
    role: str
    seed: int
    network: str
    stationary: bool  # decode begins full
    closed_loop: bool
    waits: bool  # turns of sessions come when the one before has ended
    drawn_sessions: bool
    warmup: float | None  # s
    ttft_limit: float  # s
    tpot_limit: float
    slo_name: str
    classes: dict[str, Interval]  # their limits of TTFT and TPOT, s
    mixed: bool  # prompts are computed where their requests decode; prefill says nothing then
    supernodes: int  # among which requests are divided,
    supernode_routing: str  # as this says
    prefill: dict[str, int]  # instances of all supernodes
    decode: dict[str, int]
    relays: bool  # tokens of decode go over a rank of each node
    heads: int  # as many ranks as these are a tensor-parallel group
    kv_plane: str  # "rdma" or "ub"
    cache: dict[str, Any]
    block_ids: bool  # prompts are looked up
    nodes: int  # of all supernodes
    npus_per_node: int
    dies_per_npu: int
    cpus_per_node: int
    ub_ports: int  # of a die, a CPU or a node: one pooled, or one for each sub-plane
    uplinks: int  # of a node
    ub_capacity: float  # B/s of a die, all planes
    write_efficiency: float  # of a write to a die of another node
    cache_bytes: float  # DRAM of all nodes
    ssd_bytes: float  # SSDs of all nodes, 0 where none are used
    replans: bool  # decode changes its microbatches or the division of its cores
    swap: dict[str, Any]  # DRAM for the KV of preempted requests, and its plane; empty without
    kv_bytes: int  # of a token, as pulled and cached
    hbm_bandwidth: float  # B/s
    hbm_capacity: float
    rdma_capacity: float  # B/s
    rdma_efficiency: float
    arrivals: dict[str, Any]  # of the workload
    drift: dict[str, Any] | None  # of the experts of decode: age of their placement (s), policy
    expert_bytes: int  # of one expert
    model: str

    @property
    def dies(self) -> int:
        return self.nodes * self.npus_per_node * self.dies_per_npu


@dataclasses.dataclass(frozen=True)
class Reading:
    """One way to read what is open; the judge accepts any of them."""
    starts: float = 0  # µs by which a moment may lie on the other side of the window's start,
    ends: float = 0  # of its end,
    middles: float = 0  # and of its middle


@dataclasses.dataclass(frozen=True)
class Part:
    """The measurement window or the whole run. Times are microseconds."""
    name: str
    span: Interval
    edges: Interval  # the ends, as moments are held against them
    figures: dict[str, Any]
    cohort: Interval | None = None  # sends whose latencies count; None: of every request

    @property
    def seconds(self) -> float:
        return length(self.span) * MICROSECOND

    @property
    def printed(self) -> float:
        """Relative: by how much the length may be off, for the ends are printed with 12 digits."""
        return 5e-18 * sum(map(abs, self.span)) / self.seconds if self.seconds > 0 else 0

    def inside(self, time: float) -> bool:
        return self.edges[0] < time <= self.edges[1]

    def counts(self, row: Row) -> bool:
        """Whether the row's latencies belong to the part; who was under way was sent before it."""
        if self.cohort is None or row.sent is None:
            return row.sent is not None
        return not row.initial and self.cohort[0] <= row.sent < self.cohort[1]

    def per_second(self, amount: float) -> float:
        return amount / self.seconds if self.seconds > 0 else 0


class View:
    """A run: who was sent when, and its two parts. Times are microseconds."""

    def __init__(self, result: dict[str, Any], rows: Sequence[Row], facts: Facts, reading: Reading,
                 ledger: Ledger) -> None:
        self.result, self.rows, self.facts, self.reading = result, rows, facts, reading
        self.ledger = ledger
        for row, gaps in zip((r for r in rows if r.done), result["itls"]):
            row.gaps = gaps
        for row in rows:
            row.samples_first = facts.mixed and "prefill" in row.phases and not row.initial
        self.sent = [r for r in rows if r.sent is not None]
        self.done = [r for r in rows if r.done]
        self.fresh = [r for r in self.done if not r.initial]
        self.decoded = facts.role != "prefill"
        self.partial = any(r.outcome == "unfinished" for r in rows)
        # Nothing was cut off, failed or recomputed: the CSV shows every stay of every request.
        self.calm = not self.partial and not any(r.preemptions or r.outcome == "failed" for r in rows)
        self.first_send = min((r.sent for r in self.sent), default=0)
        # Of those that wait for nobody: it ends the stream of arrivals.
        self.last_send = max((r.sent for r in self.sent if r.after is None), default=0)
        self.last_end = max((r.finished for r in rows if r.finished is not None),
                            default=self.last_send)
        # As given; the ends are held against the sends and finishes in window_figures.py.
        self.t0, self.t1 = (result["whole_run"][end] * 1e6 for end in ("from_s", "to_s"))
        self.whole = Part("whole_run", (self.t0, self.t1), (self.t0 - ROUNDED, self.t1 + ROUNDED),
                          result["whole_run"])
        start, end = (result["window"][key] * 1e6 for key in ("from_s", "to_s"))
        edges = (start - ROUNDED if start <= self.t0 else start + reading.starts,
                 end + ROUNDED if end >= self.t1 else end + reading.ends)
        cohort = (edges[0], (start + end) / 2 + reading.middles)
        self.window = Part("window", (start, end), edges, result["window"],
                           None if result["window"]["rule"] == "whole_run" else cohort)
        self.parts = self.window, self.whole

    @functools.cached_property
    def seen_steps(self) -> list[Iteration] | None:
        """Those that gave outputs, with all their sequences. On mixed instances others may have none,
        and the length is unknown of one that does nothing but end a prompt."""
        return decode_steps(self.rows) if self.decoded and self.calm else None

    @functools.cached_property
    def steps(self) -> list[Iteration] | None:
        return self.seen_steps if not self.facts.mixed or self.prompts_are_whole else None

    @functools.cached_property
    def prompts_are_whole(self) -> bool:
        """Whether every prompt certainly fit what a rank's sequences leave of its budget."""
        spec = self.facts.decode
        slots = -(-spec["max_num_seqs"] * spec["npus_per_instance"] // spec["ranks"])
        budget = spec["max_num_batched_tokens"] * spec["npus_per_instance"] // spec["ranks"]
        begun: Counter[tuple[str, str, float]] = Counter()
        for row in self.rows:
            if "prefill" in row.phases:
                at = row.decode_instance, row.decode_rank, row.phases["prefill"][0]
                begun[at] += row.prompt - row.cached
        return max(begun.values(), default=0) <= budget - slots * (1 + spec["draft_tokens"])

    @functools.cached_property
    def batches(self) -> list[Iteration] | None:
        if self.facts.role == "decode" or self.facts.mixed or not self.calm:
            return None
        return prefill_batches(self.rows, self.token_budget)

    @property
    def token_budget(self) -> int:
        return self.facts.prefill["max_num_batched_tokens"] * self.facts.prefill["npus_per_instance"]

    def reserved_from(self, row: Row) -> Interval:
        """Between which times the KV space of a request that decoded was reserved.

        Where KV is pulled, when the pull begins; on mixed instances before a prompt is looked up;
        else some time in the queue.
        """
        begins = row.phases.get("prefill_queue" if self.facts.mixed else "transfer_queue")
        return (begins[1], begins[1]) if begins else (row.sent, row.phases["first_iteration"][0])

    @functools.cached_property
    def kv_changes(self) -> tuple[list[Change], list[Change]]:
        """Of reserved tokens: what it comes with, then growing evenly, a step's share at its end.

        Reserved as early and as late as may be. A die's are in truth rounded down.
        """
        growth: list[Change] = []
        for row in self.done:
            each, held = row.each, row.prompt + row.initial
            growth += [(end, each) for end in row.outputs()[row.samples_first:-1]]
            growth.append((row.finished, -held - each * max(0, row.iterations - 1)))
        early, late = ([(self.reserved_from(row)[i], row.prompt + row.initial) for row in self.done]
                       for i in (0, 1))
        return early + growth, late + growth
