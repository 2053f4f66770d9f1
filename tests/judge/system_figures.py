"""Figures of the system: iterations, KV space, cache, queues, transfers, ports, breakdown."""
from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from formulas import (Interval, Iteration, Row, decode_steps, length, level_percentile, levels, mean,
                      overlap, prefill_batches, quotient, ratio, share_inside, statistics)
from view import MICROSECOND, View

QUEUES = ("prefill_waiting", "prefill_running", "decode_waiting", "decode_running")


class SystemFigures(View):
    def judge(self) -> None:
        for judge in (self.prefill, self.decode, self.gaps, self.kv, self.cache, self.queues,
                      self.whole_system, self.transfers, self.links, self.breakdown):
            judge()

    @functools.cached_property
    def steps(self) -> list[Iteration] | None:
        return decode_steps(self.rows) if self.decoded and self.calm else None

    @functools.cached_property
    def batches(self) -> list[Iteration] | None:
        return prefill_batches(self.rows, self.token_budget) if self.calm else None

    @property
    def token_budget(self) -> int:
        return self.facts.prefill["max_num_batched_tokens"] * self.facts.prefill["npus_per_instance"]

    # -- roles ------------------------------------------------------------------------------------

    def role(self, name: str, spec: dict[str, int], iterations: Sequence[Iteration] | None) -> None:
        """Ratios between the fields of a role and their bounds; its iterations, when they are known."""
        role, ledger = self.result[name], self.ledger
        npus = spec["instances"] * spec["npus_per_instance"]
        times, hbm = self.times(name), role["hbm"]
        if role["iteration_ms"] is None:
            ledger.same(f"{name}.iteration_ms", None if not role["iterations"] else "a distribution")
        busy = role["iterations"] * times["mean"] * 1e-3
        die_seconds = busy * spec["npus_per_instance"] * self.facts.dies_per_npu
        ledger.same(f"{name}.instances", spec["instances"])
        ledger.same(f"{name}.npus", npus)
        for field, expected in (
                ("tokens_per_second_per_npu", role["tokens_per_second"] / npus),
                ("steady_tokens_per_second_per_npu", role["steady_tokens_per_second"] / npus),
                ("hbm.busy_bandwidth_per_die", ratio(hbm["bytes"], die_seconds)),
                ("hbm.busy_utilisation", hbm["busy_bandwidth_per_die"] / self.facts.hbm_bandwidth),
                ("hbm.utilisation", hbm["busy_utilisation"] * role["utilisation"])):
            ledger.near(f"{name}.{field}", expected)
        ledger.near(f"{name}_tokens_per_second_per_npu", role["steady_tokens_per_second_per_npu"])
        ledger.near(f"{name}.utilisation", ratio(busy, self.elapsed * spec["instances"]), 0,
                    self.elapsed_slack)
        longest = times["max"] * (1 + 1e-9)
        bounds = {"utilisation": 1 + 1e-9, "occupancy": 1 + 1e-9, "steady_iteration_ms": longest,
                  "mean_sequences": len(self.rows), "ub_bytes": math.inf, "iterations": math.inf,
                  "hbm.bytes": self.facts.hbm_bandwidth * die_seconds * (1 + 1e-9),
                  "mean_tokens": math.inf, "steady_tokens_per_second": math.inf}
        means = ("mean_sequences", "mean_tokens", "steady_iteration_ms")
        if role["iterations"]:
            ledger.same(f"{name}.iteration_ms.count", role["iterations"])
            bounds |= {f"iteration_ms.{key}": longest for key in ("mean", "median", "p99", "std")}
            bounds["iteration_ms.max"] = self.elapsed * 1e3 + 1e-2
        for field, most in bounds.items():
            null = field in means and not role["iterations"]
            # No step may end in the window, which is recomputed below where the steps are known.
            null = null or (field == "steady_iteration_ms" and role[field] is None)
            ledger.within_or_null(f"{name}.{field}", 0, most, null)
        if iterations is None:
            return
        count = len(iterations)
        ledger.same(f"{name}.iterations", count)
        ledger.near(f"{name}.mean_sequences", quotient(sum(i.sequences for i in iterations), count))
        ledger.near(f"{name}.mean_tokens",
                    quotient(math.fsum(i.tokens for i in iterations), count), 1e-9)
        for key, figure in statistics([length(i.span) * 1e-3 for i in iterations]).items():
            ledger.near(f"{name}.iteration_ms.{key}", figure, 1.01e-3)

    def times(self, name: str) -> dict[str, float]:
        """Of the role's iterations, zeros without one."""
        return self.result[name]["iteration_ms"] or dict.fromkeys(("mean", "max"), 0.0)

    def prefill(self) -> None:
        ledger, role = self.ledger, self.result["prefill"]
        if self.facts.role == "decode":
            ledger.same("prefill", None)
            ledger.same("prefill_tokens_per_second_per_npu", None)
            return
        self.role("prefill", self.facts.prefill, self.batches)
        prefilled = [(r, r.phases["prefill"]) for r in self.rows if "prefill" in r.phases]
        ledger.near("prefill.tokens_per_second",
                    ratio(sum(r.prompt for r, _ in prefilled), self.elapsed), 0, self.elapsed_slack)
        tokens = math.fsum(r.prompt * share_inside(span, self.window) for r, span in prefilled)
        slack = math.fsum(r.prompt * 3 / max(1, length(span)) for r, span in prefilled
                          if overlap(span, self.window))
        ledger.near("prefill.steady_tokens_per_second", ratio(tokens, self.window_seconds),
                    ratio(slack, self.window_seconds), self.window_slack)
        ledger.near("prefill.occupancy", (role["mean_tokens"] or 0) / self.token_budget)
        ledger.near("prefill.steady_iteration_ms",
                    self.times("prefill")["mean"] if role["iterations"] else None)
        if self.calm:
            computed = sum(r.prompt - r.cached for r, _ in prefilled)
            ledger.near("prefill.mean_tokens", quotient(computed, role["iterations"]))

    def decode(self) -> None:
        ledger, role, spec = self.ledger, self.result["decode"], self.facts.decode
        ledger.near("decode_layer_us", ledger.get("breakdown.decode.layer_us"))
        if not self.decoded:
            for field in ("decode", "decode_tokens_per_second_per_npu", "decode_iteration_ms"):
                ledger.same(field, None)
            ledger.near("steady.output_throughput", 0)
            return
        self.role("decode", spec, self.steps)
        ledger.near("decode_iteration_ms", role["steady_iteration_ms"])
        ledger.near("steady.output_throughput", role["steady_tokens_per_second"])
        ledger.near("decode.mean_tokens",
                    quotient(role["tokens_per_second"] * self.elapsed, role["iterations"]), 0,
                    self.elapsed_slack)
        least, most = (sum(r.produced for r in rows) for rows in (self.done, self.sent))
        ledger.within("decode.tokens_per_second", ratio(least, self.elapsed) * (1 - self.elapsed_slack),
                      ratio(most, self.elapsed) * (1 + self.elapsed_slack))
        if self.steps is None:
            return
        ledger.near("decode.tokens_per_second", ratio(least, self.elapsed), 0, self.elapsed_slack)
        area = math.fsum(step.sequences * length(step.span) for step in self.steps)
        slots = spec["max_num_seqs"] * spec["npus_per_instance"] * spec["instances"]
        ledger.near("decode.occupancy", ratio(area * MICROSECOND, slots * self.elapsed), 0,
                    self.elapsed_slack + ratio(2 * sum(step.sequences for step in self.steps), area))
        inside = [length(step.span) * 1e-3 for step in self.steps if self.in_window(step.end)]
        ledger.near("decode.steady_iteration_ms", mean(inside) if inside else None, 1.01e-3)
        emitted = math.fsum(step.tokens * share_inside(step.span, self.window) for step in self.steps)
        # Whole tokens are reported: off by one where the window cuts, and by the fraction that a
        # request of the first population came with.
        slack = sum(r.initial > 0 for r in self.rows)
        if spec["draft_tokens"] > 0:
            slack += 2.1 * spec["instances"]
        ledger.near("decode.steady_tokens_per_second", ratio(emitted, self.window_seconds),
                    ratio(slack, self.window_seconds), 1e-5 + self.window_slack)

    def gaps(self) -> None:
        """ITL; of one role alone of the steps that end in the window."""
        figures: dict[str, float] = {}
        if self.steps is not None:
            figures = statistics([length(step.span) * 1e-3 for step in self.steps
                                  if not self.windowed or self.in_window(step.end)
                                  for _ in range(step.gaps)])
        for key in ("mean", "median", "std", "p99"):
            field = f"{key}_itl_ms"
            if self.steps is None and self.decoded and self.ledger.get(field) is not None:
                self.ledger.within(field, 0, self.times("decode")["max"] * (1 + 1e-9))
            else:
                self.ledger.near(field, figures.get(key), 1e-6)

    def kv(self) -> None:
        ledger, kv, spec = self.ledger, self.result["kv"], self.facts.decode
        if not self.decoded:
            for key in ("capacity_tokens", "mean_occupancy", "peak_occupancy"):
                ledger.same(f"kv.{key}", 0)
            return
        dies, capacity = spec["instances"] * spec["ep"], kv["capacity_tokens"]
        ledger.within("kv.capacity_tokens", dies, dies * self.facts.hbm_capacity / self.facts.kv_bytes)
        ledger.holds("kv.capacity_tokens", capacity % dies == 0, f"a multiple of {dies} dies")
        ledger.within("kv.peak_occupancy", kv["mean_occupancy"], 1)
        ledger.within("kv.mean_occupancy", 0, 1)
        if self.steps is None or not self.elapsed:
            return
        # Reserved: the prompt from the pull on (where nothing is pulled, from some time in the queue
        # on), then growing evenly, a step's share at its end.
        grown = waited = 0.0
        for row in self.done:
            held, begin = row.prompt + row.initial, row.phases.get("transfer_queue", (0, row.sent))[1]
            first, end = row.phases["first_iteration"]
            each = row.produced / row.iterations
            waited += held * (first - begin)
            grown += held * (end - first)
            grown += math.fsum((held + each * (i + 1)) * gap * 1e6 for i, gap in enumerate(row.gaps))
        least, most = (area * MICROSECOND / self.elapsed / capacity for area in (grown, grown + waited))
        running = self.result["queues"]["decode_running"]["mean"]  # each die's tokens are rounded down
        slack = min(dies, running) / capacity + (1e-5 + self.elapsed_slack) * most
        if self.facts.role == "all":
            ledger.near("kv.mean_occupancy", most, slack)
        else:
            ledger.within("kv.mean_occupancy", least - slack, most + slack)

    def cache(self) -> None:
        ledger, cache, spec = self.ledger, self.result["cache"], self.facts.cache
        block = spec["block_size"]
        capacity = math.floor(self.facts.cache_bytes / (block * self.facts.kv_bytes))
        ledger.same("cache.enabled", spec["enabled"] and self.facts.role != "decode")
        ledger.same("cache.block_size", block)
        ledger.near("cache.imposed_reuse", spec.get("reuse"))
        ledger.same("cache.capacity_blocks", capacity if self.result["cache"]["enabled"] else 0)
        for field, part, whole in (("hit_rate_by_block", "hit_blocks", "lookup_blocks"),
                                   ("hit_rate_by_token", "hit_tokens", "lookup_tokens"),
                                   ("occupancy", "stored_blocks", "capacity_blocks")):
            ledger.near(f"cache.{field}", quotient(cache[part], cache[whole]))
            ledger.within(f"cache.{part}", 0, cache[whole])
            ledger.within(f"cache.{whole}", 0, math.inf)
        ledger.within("cache.peak_blocks", cache["stored_blocks"], cache["capacity_blocks"])
        ledger.within("cache.evicted_blocks", 0, math.inf)
        if self.calm:
            looked_up = [r for r in self.rows if r.prefill_instance and self.facts.block_ids]
            ledger.same("cache.lookup_blocks", sum(math.ceil(r.prompt / block) for r in looked_up))
            ledger.same("cache.hit_blocks", sum(math.ceil(r.cached / block) for r in looked_up))
            ledger.same("cache.lookup_tokens", sum(r.prompt for r in looked_up))
            ledger.same("cache.hit_tokens", sum(r.cached for r in looked_up))

    # -- queues and wires ---------------------------------------------------------------------------

    def stay(self, row: Row, queue: str) -> Interval | None:
        """From when to when a request that finished and kept its KV was in the queue."""
        names = [q for q in QUEUES if self.facts.role == "all" or q.startswith(self.facts.role)]
        if queue not in names:
            return None
        spans = row.phases
        start = {names[0]: row.sent, "prefill_running": spans.get("prefill", (0, 0))[0],
                 "decode_running": spans.get("first_iteration", (0, 0))[0]}
        if self.facts.role == "all":
            start["decode_waiting"] = spans["prefill"][1]
        return start[queue], [*(start[q] for q in names), row.finished][names.index(queue) + 1]

    def queues(self) -> None:
        ledger, span = self.ledger, self.t1 - self.t0
        for queue in QUEUES:
            field, found = f"queues.{queue}", self.result["queues"][queue]
            ledger.within(f"{field}.mean", 0, found["max"])
            ledger.within(f"{field}.p99", 0, found["max"])
            ledger.within(f"{field}.max", 0, len(self.sent))
            if not self.calm or not span:
                continue
            stays = [stay for r in self.done if (stay := self.stay(r, queue))]
            ledger.near(f"{field}.mean", math.fsum(map(length, stays)) / span, 2 * len(stays) / span,
                        self.elapsed_slack)
            time_at = levels(stays, (self.t0, self.t1))
            slack = min(4.0 * len(stays), 0.005 * span)
            p99 = [level_percentile(time_at, 0.99, side * slack) for side in (-1, 1)]
            # An event may be a microsecond off, so stays that touch may meet or not.
            peak = [max(levels([(s + by, e - by) for s, e in stays], (-math.inf, math.inf)), default=0)
                    for by in (1.1, -1.1)]
            if queue == "prefill_waiting" and self.batches is None:
                peak[1] += self.facts.prefill["instances"]  # a chunked prompt, between two batches
            ledger.between(f"{field}.p99", *p99)
            ledger.between(f"{field}.max", *peak)

    def whole_system(self) -> None:
        """Little's law for the whole system, whatever happened in it."""
        if self.t1 == self.t0:
            return
        stays = [(r.sent, self.t1 if r.finished is None else r.finished) for r in self.sent]
        inside = math.fsum(map(length, stays)) / (self.t1 - self.t0)
        total = math.fsum(self.result["queues"][queue]["mean"] for queue in QUEUES)
        slack = 3 * len(stays) / (self.t1 - self.t0) + self.elapsed_slack * inside
        self.ledger.holds("queues.*.mean", abs(inside - total) <= slack,
                          f"a sum of {inside}, not {total}")

    def transfers(self) -> None:
        ledger, cache = self.ledger, self.result["cache"]
        for kind, found in self.result["transfers"].items():
            field, empty = f"transfers.{kind}", found["count"] == 0
            ledger.within(f"{field}.count", 0, math.inf)
            ledger.within(f"{field}.bytes", 0, 0 if empty else math.inf)
            ledger.within_or_null(f"{field}.max_ms", 0, self.elapsed * 1e3 + 1e-2, empty)
            ledger.within_or_null(f"{field}.mean_ms", 0, (found["max_ms"] or 0) * (1 + 1e-9), empty)
            ledger.near(f"{field}.mean_bandwidth",
                        quotient(found["bytes"], found["count"] * (found["mean_ms"] or 0) * 1e-3))
        if not self.calm:
            return
        pulled = [r for r in self.done if "transfer" in r.phases]
        times = [length(r.phases["transfer"]) * 1e-3 for r in pulled]
        ledger.same("transfers.kv_pull.count", len(pulled))
        ledger.same("transfers.kv_pull.bytes", sum(r.prompt for r in pulled) * self.facts.kv_bytes)
        # The phase holds the wait for a copy engine too.
        null = not times
        ledger.within_or_null("transfers.kv_pull.mean_ms", 0, 0 if null else mean(times) + 1.01e-3, null)
        ledger.within_or_null("transfers.kv_pull.max_ms", 0, max(times, default=0) + 1.01e-3, null)
        ledger.same("transfers.cache_read.bytes",
                    sum(r.cached for r in self.done) * self.facts.kv_bytes)
        ledger.within("transfers.cache_write.bytes", 0,
                      (cache["lookup_tokens"] - cache["hit_tokens"]) * self.facts.kv_bytes)

    def links(self) -> None:
        ledger, facts = self.ledger, self.facts
        dies = facts.nodes * facts.npus_per_node * facts.dies_per_npu
        cpus = facts.nodes * facts.cpus_per_node
        ports = {"die_ub": dies * facts.ub_ports, "cpu_ub": cpus * facts.ub_ports,
                 "uplink": facts.nodes * facts.uplinks, "die_to_die": dies, "rdma": dies,
                 "vpc": facts.nodes}
        moved = {kind: found["bytes"] for kind, found in self.result["transfers"].items()}
        carried = {"rdma": (moved["kv_pull"],) * 2, "die_to_die": (0, 0)}  # out, in
        if facts.cache["plane"] == "ub":
            carried |= {"die_ub": (moved["cache_write"], moved["cache_read"]),
                        "cpu_ub": (moved["cache_read"], moved["cache_write"]), "vpc": (0, 0)}
        for i, link in enumerate(self.result["links"]):
            field, name, way = f"links.{i}", list(ports)[i // 2], i % 2
            ledger.same(f"{field}.class", name)
            ledger.same(f"{field}.direction", ("out", "in")[way])
            ledger.same(f"{field}.ports", ports[name])
            ledger.within(f"{field}.bytes", 0, math.inf if self.partial else sum(moved.values()))
            ledger.within(f"{field}.utilisation", 0, link["highest_utilisation"] * (1 + 1e-9))
            ledger.within(f"{field}.highest_utilisation", 0, 1 + 1e-9)
            if not self.partial and name in carried:
                ledger.near(f"{field}.bytes", carried[name][way])
            if not self.partial and name == "rdma":
                wire = link["bytes"] / facts.rdma_efficiency
                ledger.near(f"{field}.utilisation",
                            ratio(wire, dies * facts.rdma_capacity * self.elapsed), 0, self.elapsed_slack)

        uplinks = self.result.get("uplinks")
        if uplinks is not None:
            used = any(link["bytes"] for link in self.result["links"] if link["class"] == "uplink")
            ledger.same("uplinks.in_paths", True, unless=not used)
            ledger.within("uplinks.pressure", 0, math.inf)

    def breakdown(self) -> None:
        ledger = self.ledger
        for phase, found in self.result["breakdown"].items():
            field = f"breakdown.{phase}"
            if not isinstance(found, dict):
                ledger.same(field, None)
                continue
            duration, parts = found["duration_us"], found["parts_us"]
            rounding = 1e-9 * duration
            ledger.near(f"{field}.duration_us", math.fsum(parts.values()))
            bounds: list[tuple[str, Any, Any]] = [("layer_us", 0, duration)]
            bounds += [(f"parts_us.{part}", -rounding, duration + rounding) for part in parts]
            tracks: dict[str, float] = {}
            for i, op in enumerate(found["operators"]):
                tracks[op["track"]] = tracks.get(op["track"], 0) + op["duration_us"]
                moved = self.facts.hbm_bandwidth * (op["duration_us"] + rounding) * MICROSECOND
                bounds += [(f"operators.{i}.alone_us", 0, op["duration_us"] + rounding),
                           (f"operators.{i}.duration_us", op["alone_us"] - rounding, duration),
                           (f"operators.{i}.hbm_bytes", 0, moved)]
            for track, busy in found["streams_us"].items():
                ledger.near(f"{field}.streams_us.{track}", tracks.get(track, 0), 0, 1e-6)
            path = found["critical_path_us"]
            bounds += [(f"critical_path_us.{name}", 0, duration + rounding) for name in path]
            ledger.holds(f"{field}.critical_path_us", math.isclose(
                math.fsum(path.values()), duration - parts["launch"], rel_tol=1e-6),
                f"a sum of {duration - parts['launch']}")
            for name, loss in found["losses"].items():
                bounds.append((f"losses.{name}.us", -0.1 * duration, duration))
                ledger.near(f"{field}.losses.{name}.share", loss["us"] / duration)
            for name, low, high in bounds:
                ledger.within(f"{field}.{name}", low, high)
