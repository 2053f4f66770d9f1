"""What a scenario says as numbers, and a run seen through its requests.csv."""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from formulas import Interval, Row, percentile, ratio
from ledger import Ledger

MICROSECOND = 1e-6


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the scenario says; capacities are of one die or port."""
    role: str
    seed: int
    network: str
    ttft_limit: float  # s
    tpot_limit: float
    slo_name: str
    prefill: dict[str, int]
    decode: dict[str, int]
    cache: dict[str, Any]
    block_ids: bool  # prompts are looked up
    nodes: int
    npus_per_node: int
    dies_per_npu: int
    cpus_per_node: int
    ub_ports: int  # of a die, a CPU or a node: one pooled, or one for each sub-plane
    uplinks: int  # of a node
    cache_bytes: float  # DRAM of all nodes
    kv_bytes: int  # of a token, as pulled and cached
    hbm_bandwidth: float  # B/s
    hbm_capacity: float
    rdma_capacity: float  # B/s
    rdma_efficiency: float
    arrivals: dict[str, Any]  # of the workload
    model: str


@dataclasses.dataclass(frozen=True)
class Reading:
    """One way to read what is open; the judge accepts any of them."""
    edge: float = 0  # µs by which a finish may lie on the other side of the window's start


class View:
    """A run: who was sent when, which requests and which window count. Times are microseconds."""

    def __init__(self, result: dict[str, Any], rows: Sequence[Row], facts: Facts, reading: Reading,
                 ledger: Ledger) -> None:
        self.result, self.rows, self.facts, self.reading = result, rows, facts, reading
        self.ledger = ledger
        for row, gaps in zip((r for r in rows if r.done), result["itls"]):
            row.gaps = gaps
        self.sent = [r for r in rows if r.sent is not None]
        self.done = [r for r in rows if r.done]
        self.decoded = facts.role != "prefill"
        self.partial = any(r.outcome == "unfinished" for r in rows)
        # Nothing was cut off, failed or recomputed: the CSV shows every stay of every request.
        self.calm = not self.partial and not any(r.preemptions or r.outcome == "failed" for r in rows)
        self.t0 = min((r.sent for r in self.sent), default=0)
        self.last_send = max((r.sent for r in self.sent), default=0)
        self.last_end = max((r.finished for r in rows if r.finished is not None),
                            default=self.last_send)
        self.t1 = self.last_send + result["load"]["drain_s"] * 1e6  # held against last_end
        self.elapsed = (self.t1 - self.t0) * MICROSECOND
        self.elapsed_slack = ratio(3 * MICROSECOND, self.elapsed) + 1e-9  # relative
        self.fresh = [r for r in self.done if not r.initial]
        arrivals = self.last_send - self.t0
        self.steady = arrivals > 1e-3 * (self.t1 - self.t0)
        latencies = [r.e2el for r in self.fresh]
        ramp = min(percentile(latencies, 0.9) if latencies else arrivals, arrivals / 3)
        self.window: Interval = (self.t0 + ramp, self.last_send) if self.steady else (self.t0, self.t1)
        self.window_seconds = (self.window[1] - self.window[0]) * MICROSECOND
        self.window_slack = ratio(4 * MICROSECOND, self.window_seconds) + 1e-9  # relative
        in_window = [r for r in self.fresh if self.in_window(r.finished)]
        # Of one role alone what ends in the window; all, when nothing does.
        self.windowed = facts.role != "all" and self.steady and bool(in_window)
        self.measured = in_window if self.windowed else self.fresh

    def in_window(self, time: float) -> bool:
        return self.window[0] + self.reading.edge < time <= self.window[1] + 1.5
