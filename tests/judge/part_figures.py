"""Figures of the system in a part of the run: queues, transfers, ports, what binds."""
from __future__ import annotations

import functools
import math

from formulas import (Interval, Row, highest, length, mean, overlap, quotient, ratio, stay_changes)
from view import MICROSECOND, View

QUEUES = ("prefill_waiting", "prefill_running", "decode_waiting", "decode_running")
DECODE_BINDS = ("decode slots", "decode KV space", "decode policies")
FULL = "prefill token budget"


class PartFigures(View):
    def judge(self) -> None:
        for part in self.parts:
            self.part = part
            for judge in (self.queues, self.whole_system, self.transfers, self.links, self.binds):
                judge()

    def field(self, name: str) -> str:
        return f"{self.part.name}.{name}"

    # -- queues -----------------------------------------------------------------------------------

    def stay(self, row: Row, queue: str) -> Interval | None:
        """From when to when a request that finished and kept its KV was in the queue."""
        if self.facts.role == "all":
            names = QUEUES[2:] if row.initial else QUEUES  # none waits for decode where it is mixed
        else:
            names = [q for q in QUEUES if q.startswith(self.facts.role)]
        if queue not in names:
            return None
        spans = row.phases
        start = {names[0]: row.sent, "prefill_running": spans.get("prefill", (0, 0))[0],
                 "decode_running": spans.get("first_iteration", (0, 0))[0]}
        start.setdefault("decode_waiting", spans.get("prefill", (0, 0))[1])
        return start[queue], [*(start[q] for q in names), row.finished][names.index(queue) + 1]

    @functools.cached_property
    def stays(self) -> dict[str, list[Interval]]:
        return {queue: [stay for r in self.done if (stay := self.stay(r, queue))] for queue in QUEUES}

    def chunk_waits(self) -> float:
        """Between two of its batches a long prompt waits in the queue, for another one's cache read:
        at most that long."""
        if self.batches is not None or self.facts.mixed:
            return 0.0
        return math.fsum(overlap(r.phases["cache_read"], self.part.span) for r in self.done
                         if "cache_read" in r.phases)

    def queues(self) -> None:
        ledger, part = self.ledger, self.part
        span = length(part.span)
        for queue in QUEUES:
            field, found = self.field(f"queues.{queue}"), part.figures["queues"][queue]
            if not self.calm or not span:
                ledger.within(f"{field}.mean", 0, found["max"] * (1 + 1e-9))
                ledger.within(f"{field}.max", 0, len(self.sent))
                continue
            stays = self.stays[queue]
            level = math.fsum(overlap(stay, part.span) for stay in stays) / span
            slack = 2 * sum(overlap(stay, part.span) > 0 for stay in stays) / span + 1e-9 * level
            peak = [int(highest(stay_changes(stays), part.span, by)) for by in (-1.1, 1.1)]
            waits = self.chunk_waits() / span if queue.startswith("prefill") else 0
            if queue == "prefill_waiting" and self.batches is None and not self.facts.mixed:
                peak[1] += self.facts.prefill["instances"]  # a chunked prompt, between two batches
            if waits:
                low, high = (0, waits) if queue == "prefill_waiting" else (waits, 0)
                ledger.within(f"{field}.mean", level - low - slack, level + high + slack)
                peak[0] -= self.facts.prefill["instances"]
            else:
                ledger.near(f"{field}.mean", level, slack)
            ledger.between(f"{field}.max", *peak)

    def whole_system(self) -> None:
        """Little's law for the whole system, whatever happened in it."""
        part = self.part
        if not part.seconds:
            return
        stays = [(r.sent, self.t1 if r.finished is None else r.finished) for r in self.sent]
        inside = math.fsum(overlap(stay, part.span) for stay in stays) / length(part.span)
        total = math.fsum(part.figures["queues"][queue]["mean"] for queue in QUEUES)
        touched = sum(overlap(stay, part.span) > 0 for stay in stays)
        slack = 3 * touched / length(part.span) + 1e-9 * inside
        self.ledger.holds(self.field("queues.*.mean"), abs(inside - total) <= slack,
                          f"a sum of {inside}, not {total}")

    # -- wires ------------------------------------------------------------------------------------

    def transfers(self) -> None:
        ledger, part, cache = self.ledger, self.part, self.result["cache"]
        for kind, found in part.figures["transfers"].items():
            field, empty = self.field(f"transfers.{kind}"), found["count"] == 0
            whole = self.whole.figures["transfers"][kind]
            most = {"count": whole["count"], "bytes": whole["bytes"], "max_ms": whole["max_ms"] or 0}
            if part is self.whole:
                most = {"count": math.inf, "bytes": math.inf, "max_ms": part.seconds * 1e3 + 1e-2}
            ledger.within(f"{field}.count", 0, most["count"])
            ledger.within(f"{field}.bytes", 0, 0 if empty else most["bytes"])
            ledger.within_or_null(f"{field}.max_ms", 0, most["max_ms"], empty)
            ledger.within_or_null(f"{field}.mean_ms", 0, (found["max_ms"] or 0) * (1 + 1e-9), empty)
            ledger.near(f"{field}.mean_bandwidth",
                        quotient(found["bytes"], found["count"] * (found["mean_ms"] or 0) * 1e-3))
        if not self.calm:
            return
        pulled = [r for r in self.done
                  if "transfer" in r.phases and part.inside(r.phases["transfer"][1])]
        times, field = [length(r.phases["transfer"]) * 1e-3 for r in pulled], "transfers.kv_pull"
        ledger.same(self.field(f"{field}.count"), len(pulled))
        ledger.same(self.field(f"{field}.bytes"), sum(r.prompt for r in pulled) * self.facts.kv_bytes)
        # The phase holds the wait for a copy engine too.
        null = not times
        ledger.within_or_null(self.field(f"{field}.mean_ms"), 0,
                              0 if null else mean(times) + 1.01e-3, null)
        ledger.within_or_null(self.field(f"{field}.max_ms"), 0, max(times, default=0) + 1.01e-3, null)
        if part is not self.whole:
            return
        for way in ("out", "in") if self.facts.swap else ():
            ledger.same(f"whole_run.transfers.swap_{way}.count", sum(r.swaps for r in self.rows))
        ledger.same("whole_run.transfers.cache_read.bytes",
                    sum(r.cached for r in self.done) * self.facts.kv_bytes)
        ledger.within("whole_run.transfers.cache_write.bytes", 0,
                      (cache["lookup_tokens"] - cache["hit_tokens"]) * self.facts.kv_bytes)

    def exchanged(self) -> dict[str, tuple[float, float]]:
        """Bounds of what iterations send, by class of port: what leaves a package is on the dies' UB
        ports, and on uplinks where it leaves the node. Which part does hangs on where the ranks are, on
        how uneven the experts are and on relays; exact for whole nodes without relays."""
        facts = self.facts
        low = {"die_ub": 0.0, "uplink": 0.0, "die_to_die": 0.0}
        high = dict(low)
        on_node = facts.npus_per_node * facts.dies_per_npu
        first_die = 0
        for role, spec in (("prefill", facts.prefill), ("decode", facts.decode)):
            found = self.part.figures[role]
            if found is None:
                continue
            sent, ep, siblings = found["ub_bytes"], spec["ep"], facts.dies_per_npu - 1
            exact = not (facts.relays and role == "decode") and ep > on_node and ep % on_node == 0 \
                and facts.decode["tp"] == 1 and first_die % on_node == 0 and (role == "decode" or ep <= facts.heads)
            first_die += ep * spec["instances"] // facts.supernodes
            low["die_ub"] += sent
            high["die_ub"] += sent
            leaving = sent * ratio(ep - on_node, ep - facts.dies_per_npu)
            low["uplink"] += leaving if exact else 0
            high["uplink"] += leaving if exact else sent
            stays = sent * ratio(siblings, ep - facts.dies_per_npu)
            low["die_to_die"] += stays if exact else 0
            high["die_to_die"] += stays if exact else math.inf
        return {name: (low[name] * (1 - 1e-4), high[name] * (1 + 1e-4)) for name in low}

    def links(self) -> None:
        ledger, facts, part, exchanged = self.ledger, self.facts, self.part, self.exchanged()
        cpus = facts.nodes * facts.cpus_per_node
        ports = {"die_ub": facts.dies * facts.ub_ports, "cpu_ub": cpus * facts.ub_ports,
                 "uplink": facts.nodes * facts.uplinks, "die_to_die": facts.dies * (facts.dies_per_npu - 1), "rdma": facts.dies,
                 "vpc": facts.nodes}
        moved = {kind: found["bytes"] for kind, found in self.whole.figures["transfers"].items()}
        pulled = {plane: moved["kv_pull"] if facts.kv_plane == plane else 0 for plane in ("rdma", "ub")}
        cached = {way: moved[f"cache_{way}"] if facts.cache["plane"] == "ub" else 0 for way in ("read", "write")}
        swapped = {way: moved.get(f"swap_{way}", 0) if facts.swap.get("plane") == "ub" else 0 for way in ("out", "in")}
        out, into = cached["write"] + swapped["out"], cached["read"] + swapped["in"]  # of dies
        carried = {"rdma": (pulled["rdma"],) * 2, "die_to_die": (0, 0),  # out, in
                   "die_ub": (pulled["ub"] + out, pulled["ub"] + into),
                   "cpu_ub": (into, out)}
        ssd, ssd_plane = sum(moved.get(f"ssd_{way}", 0) for way in ("read", "write")), facts.cache.get("ssd", {}).get("plane", "vpc")
        if ssd_plane == "ub":
            carried["cpu_ub"] = (into + ssd, out + ssd)
        if facts.cache["plane"] == "ub" and facts.swap.get("plane", "ub") == "ub":
            carried["vpc"] = (ssd if ssd_plane == "vpc" else 0,) * 2
        # A link between two dies is out of one; a die alone in its package has none.
        rows = [(name, way) for name in ports if ports[name] for way in range(1 + (name != "die_to_die"))]
        ledger.holds(self.field("links"), len(part.figures["links"]) == len(rows), "all classes and ways")
        for i, link in enumerate(part.figures["links"]):
            field, (name, way) = self.field(f"links.{i}"), rows[i]
            whole = self.whole.figures["links"][i]
            ledger.same(f"{field}.class", name)
            ledger.same(f"{field}.direction", ("out", "in")[way])
            ledger.same(f"{field}.ports", ports[name])
            ledger.within(f"{field}.exchange_bytes", *exchanged.get(name, (0.0, 0.0)))
            most = sum(moved.values()) if part is self.whole else whole["transfer_bytes"]
            unknown = math.inf if self.partial and part is self.whole else most
            ledger.within(f"{field}.transfer_bytes", 0, unknown * (1 + 1e-9))
            # What was on the wire in the window was so in the whole run.
            used = 1 if part is self.whole else ratio(whole["utilisation"] * self.whole.seconds, part.seconds)
            ledger.within(f"{field}.utilisation", 0, used * (1 + 1e-9))
            # One port is not used less than all are on average.
            ledger.within(f"{field}.busiest_utilisation", link["utilisation"] * (1 - 1e-9), math.inf)
            if part is self.whole and not self.partial and name in carried:
                ledger.near(f"{field}.transfer_bytes", carried[name][way])
            if name == "rdma":
                wire = link["transfer_bytes"] / facts.rdma_efficiency
                ledger.near(f"{field}.utilisation",
                            part.per_second(wire / (facts.dies * facts.rdma_capacity)))
            elif name == "die_ub" and not link["transfer_bytes"]:
                # Writes inside a node are up to 2 % more efficient.
                wire = [bytes / facts.write_efficiency for bytes in exchanged[name]]
                ledger.within(f"{field}.utilisation",
                              *(part.per_second(one / (facts.dies * facts.ub_capacity))
                                for one in (0.98 * wire[0], wire[1])))
            elif not link["transfer_bytes"] and not link["exchange_bytes"]:
                ledger.near(f"{field}.utilisation", 0)

    # -- what binds -------------------------------------------------------------------------------

    def binds(self) -> None:
        """Operators in the window alone; what binds for no time is left out."""
        ledger, part, field = self.ledger, self.part, self.field("binds")
        found = {bind["what"]: i for i, bind in enumerate(part.figures["binds"])}
        shares = [bind["share"] for bind in part.figures["binds"]]
        ledger.holds(field, len(found) == len(shares), "each once")
        ledger.holds(field, shares == sorted(shares, reverse=True), "the largest first")
        ledger.holds(field, all(share > 0 for share in shares), "only what binds")
        expected = {FULL: self.full_batches()} if part.figures["prefill"] else {}
        expected |= dict.fromkeys(DECODE_BINDS) if part.figures["decode"] else {}
        if part is self.window:
            for role in ("prefill", "decode"):
                broken = self.result["breakdown"][role]
                for name, time in (broken or {"critical_path_us": {}})["critical_path_us"].items():
                    share = part.figures[role]["utilisation"] * time / broken["duration_us"]
                    expected[f"{role}: {name}"] = share
        ledger.holds(field, found.keys() <= expected.keys(), f"of {sorted(expected)}")
        queue = "prefill_waiting" if self.facts.mixed else "decode_waiting"
        waiting = part.figures["queues"][queue]["max"]
        for what, share in expected.items():
            if what not in found:
                ledger.holds(field, (share or 0) <= 1e-9, f"also {what}")
                continue
            leaf = f"{field}.{found[what]}"
            ledger.same(f"{leaf}.what", what)
            if share is None:
                ledger.within(f"{leaf}.share", 0, 1 + 1e-9 if waiting or what == FULL else 0)
            else:
                ledger.near(f"{leaf}.share", share, self.rounding(what))
        ledger.holds(field, math.fsum(shares[found[what]] for what in DECODE_BINDS if what in found)
                     <= 1 + 1e-9, "one thing at a time that decode's queue waits for")

    def full_batches(self) -> float | None:
        """Share of the time in which an instance runs a batch of 95 % of its budget or more."""
        if self.batches is None:
            return None
        busy = math.fsum(overlap(batch.span, self.part.span) for batch in self.batches
                         if batch.tokens >= 0.95 * self.token_budget)
        return ratio(busy, length(self.part.span) * self.facts.prefill["instances"])

    def rounding(self, what: str) -> float:
        if what != FULL:
            return 0.0
        return ratio(2 * len(self.batches or ()), length(self.part.span))
