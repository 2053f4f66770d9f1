"""Figures of the roles in a part of the run: their iterations, tokens and KV space."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from formulas import (Iteration, area, highest, length, mean, overlap, quotient, ratio, share_inside,
                      statistics)
from view import MICROSECOND, View


class RoleFigures(View):
    def judge(self) -> None:
        for part in self.parts:
            self.part = part
            for judge in (self.prefill, self.decode, self.rebalancing, self.gaps, self.kv):
                judge()

    def field(self, name: str) -> str:
        return f"{self.part.name}.{name}"

    def longest(self, role: str) -> float:
        """Milliseconds of the longest iteration of the run."""
        return ((self.whole.figures[role] or {}).get("iteration_ms") or {"max": 0.0})["max"]

    # -- iterations -------------------------------------------------------------------------------

    def role(self, name: str, spec: dict[str, int], iterations: Sequence[Iteration] | None) -> None:
        """Ratios between the fields of a role and their bounds; its iterations, when they are known."""
        ledger, part, role, field = self.ledger, self.part, self.part.figures[name], self.field(name)
        instances, whole = spec["instances"], self.whole.figures[name]
        npus, hbm, count = instances * spec["npus_per_instance"], role["hbm"], role["iterations"]
        die_seconds = (role["utilisation"] * part.seconds * npus * self.facts.dies_per_npu)
        for key, expected in (("instances", instances), ("npus", npus)):
            ledger.same(f"{field}.{key}", expected)
        for key, expected in (
                ("tokens_per_second_per_npu", role["tokens_per_second"] / npus),
                ("hbm.busy_bandwidth_per_die", ratio(hbm["bytes"], die_seconds)),
                ("hbm.busy_utilisation", hbm["busy_bandwidth_per_die"] / self.facts.hbm_bandwidth),
                ("hbm.utilisation", hbm["busy_utilisation"] * role["utilisation"])):
            ledger.near(f"{field}.{key}", expected, 0, 1e-9 + part.printed)
        part_of = {"hbm.bytes": min(whole["hbm"]["bytes"], self.facts.hbm_bandwidth * die_seconds),
                   "ub_bytes": whole["ub_bytes"], "iterations": whole["iterations"]}
        if part is self.whole:
            part_of = {"hbm.bytes": self.facts.hbm_bandwidth * die_seconds, "ub_bytes": math.inf,
                       "iterations": math.inf}
        alone = self.facts.network == "analytic"  # exchanges meet nothing there
        ledger.within(f"{field}.contention", 0, 0 if alone else 1)
        for key, most in part_of.items():
            ledger.within(f"{field}.{key}", 0, most * (1 + 1e-9))
        self.distribution(f"{field}.iteration_ms", count, self.longest(name), None if iterations is None
                          else [length(i.span) * 1e-3 for i in iterations if part.inside(i.end)], 1.01e-3)
        ended = count * (role["iteration_ms"] or {"mean": 0})["mean"] * 1e-3
        whole_time = part.seconds * instances
        if part is self.whole:
            ledger.near(f"{field}.utilisation", ratio(ended, whole_time))
        elif iterations is None:  # those that begin or end outside
            cut = instances * self.longest(name) * 1e-3
            ledger.within(f"{field}.utilisation", ratio(ended - cut, whole_time) - 1e-9,
                          min(1, ratio(ended + cut, whole_time)) + 1e-9)
        self.means(field, count, spec, iterations)

    def means(self, field: str, count: int, spec: dict[str, int],
              iterations: Sequence[Iteration] | None) -> None:
        ledger, part = self.ledger, self.part
        if iterations is None:
            for key, most in (("mean_sequences", len(self.rows)), ("mean_tokens", math.inf),
                              ("mean_context", math.inf)):
                ledger.within_or_null(f"{field}.{key}", 0, most, not count)
            return
        inside = [i for i in iterations if part.inside(i.end)]
        ledger.same(f"{field}.iterations", len(inside))
        ledger.near(f"{field}.mean_sequences",
                    quotient(sum(i.sequences for i in inside), len(inside)))
        # Tokens and context of decode are whole ones, of an instance and of a die; see whole_tokens().
        broken = self.whole_tokens() if field.endswith("decode") else 0.0
        ledger.near(f"{field}.mean_tokens", quotient(math.fsum(i.tokens for i in inside), len(inside)),
                    ratio(broken, len(inside)) + 1e-9)
        context = quotient(math.fsum(i.context for i in inside), len(inside))
        ranks = mean([min(i.sequences, self.facts.decode["ranks"]) for i in inside]) if inside else 0
        ledger.near(f"{field}.mean_context", context, (ranks + 1e-9 if broken else 1e-9)
                    + ratio(broken, len(inside)))
        busy = math.fsum(overlap(i.span, part.span) for i in iterations)
        ledger.near(f"{field}.utilisation", ratio(busy, length(part.span) * spec["instances"]),
                    ratio(1.1 * sum(overlap(i.span, part.span) > 0 for i in iterations),
                          length(part.span) * spec["instances"]))

    def whole_tokens(self) -> float:
        """Tokens by which whole ones differ from a request's even share: of a draw of several a
        step, and what one under way came with is rounded down."""
        spec = self.facts.decode
        if not spec["draft_tokens"]:
            return 0.0
        return 2.1 * spec["instances"] + sum(r.initial > 0 for r in self.rows)

    def distribution(self, field: str, count: int, longest: float, values: Sequence[float] | None,
                     slack: float) -> None:
        """Recomputed from its values in ms, or bounded where they are not known."""
        ledger = self.ledger
        if not count or (values is not None and not values):
            ledger.same(field, None)
            return
        ledger.same(f"{field}.count", count)
        if values is not None:
            ledger.same(f"{field}.count", len(values))
            for key, figure in statistics(values).items():
                ledger.near(f"{field}.{key}", figure, slack)
            return
        for key in ("mean", "median", "p99", "std", "max"):
            ledger.within(f"{field}.{key}", 0, longest * (1 + 1e-9))
        if self.part is self.whole and field.endswith("iteration_ms"):
            ledger.within(f"{field}.max", 0, self.part.seconds * 1e3 + 1e-2)

    # -- roles ------------------------------------------------------------------------------------

    def prefill(self) -> None:
        ledger, role, part = self.ledger, self.part.figures["prefill"], self.part
        field = self.field("prefill")
        if role is None or self.facts.role == "decode" or self.facts.mixed:
            ledger.same(field, None)
            return
        self.role("prefill", self.facts.prefill, self.batches)
        self.prompt_rate(f"{field}.tokens_per_second")
        ledger.near(f"{field}.occupancy", (role["mean_tokens"] or 0) / self.token_budget)
        if self.calm and part is self.whole:
            computed = sum(r.prompt - r.cached for r in self.rows if "prefill" in r.phases)
            ledger.near(f"{field}.mean_tokens", quotient(computed, role["iterations"]))

    def prompt_rate(self, field: str) -> None:
        """Prompts, each spread evenly over the time in which it is computed."""
        part = self.part
        prefilled = [(r, r.phases["prefill"]) for r in self.rows if "prefill" in r.phases]
        tokens = math.fsum(r.prompt * share_inside(span, part.span) for r, span in prefilled)
        slack = math.fsum(r.prompt * 3 / max(1, length(span)) for r, span in prefilled
                          if -3 < overlap(span, part.span) < length(span) or length(span) < 3)
        slack += math.fsum(r.prompt * 3 / max(1, length(span)) for r, span in prefilled
                           if any(abs(edge - at) < 3 for edge in part.span for at in span))
        self.ledger.near(field, part.per_second(tokens), part.per_second(slack) + 1e-9)

    def decode(self) -> None:
        ledger, part, spec, field = self.ledger, self.part, self.facts.decode, self.field("decode")
        role = part.figures["decode"]
        if not self.decoded:
            ledger.same(field, None)
            ledger.same(self.field("decode_iteration_ms"), None)
            return
        self.role("decode", spec, self.steps)
        ledger.near(self.field("decode_iteration_ms"), (role["iteration_ms"] or {}).get("mean"))
        rate = f"{field}.tokens_per_second"
        if part is self.whole:
            ledger.near(f"{field}.mean_tokens",
                        quotient(role["tokens_per_second"] * part.seconds, role["iterations"]))
            least, most = (sum(r.produced for r in rows) for rows in (self.done, self.sent))
            ledger.within(rate, part.per_second(least) * (1 - 1e-9), part.per_second(most) * (1 + 1e-9))
        if self.facts.mixed:
            self.prompts(f"{field}.prompts", role)
        slots = spec["max_num_seqs"] * spec["npus_per_instance"] * spec["instances"]
        if self.seen_steps is None:
            ledger.within(f"{field}.occupancy", 0, 1 + 1e-9)
            ledger.within(rate, 0, math.inf)
            return
        if part is self.whole:
            ledger.near(rate, part.per_second(least))
        if self.steps is None:
            self.seen_means(field, role)
        area = math.fsum(step.sequences * overlap(step.span, part.span) for step in self.seen_steps)
        touched = sum(step.sequences for step in self.seen_steps if overlap(step.span, part.span) > 0)
        ledger.near(f"{field}.occupancy", ratio(area, slots * length(part.span)),
                    ratio(2 * touched, slots * length(part.span)))
        emitted = math.fsum(step.tokens * share_inside(step.span, part.span) for step in self.seen_steps)
        cut = [step for step in self.seen_steps
               if any(step.start - 3 < edge < step.end + 3 for edge in part.span)]
        slack = math.fsum(step.tokens * 3 / length(step.span) for step in cut)
        if self.steps is None:  # it may be that the prompts of a step without sequences began before it
            slack += math.fsum(step.tokens for step in cut if not step.gaps)
        ledger.near(rate, part.per_second(emitted), part.per_second(slack + self.whole_tokens()) + 1e-9)

    def seen_means(self, field: str, role: dict[str, Any]) -> None:
        """What is known of the mean step where steps without outputs are not seen: all but their number."""
        inside = [step for step in self.seen_steps or () if self.part.inside(step.end)]
        count, spec = role["iterations"], self.facts.decode
        self.ledger.holds(f"{field}.iterations", count >= len(inside), f"{len(inside)} or more")
        broken = self.whole_tokens()
        on_ranks = sum(min(step.sequences, spec["ranks"]) for step in inside) + 1e-9 if broken else 0.0
        for key, amount, slack in (
                ("mean_sequences", sum(step.sequences for step in inside), 0.0),
                ("mean_tokens", math.fsum(step.tokens for step in inside), broken),
                ("mean_context", math.fsum(step.context for step in inside), on_ranks + broken)):
            self.ledger.near(f"{field}.{key}", quotient(amount, count), ratio(slack, count) + 1e-9)

    def prompts(self, field: str, role: dict[str, Any]) -> None:
        """What mixed instances compute of prompts."""
        ledger, spec, count = self.ledger, self.facts.decode, role["iterations"]
        self.prompt_rate(f"{field}.tokens_per_second")
        budget = spec["max_num_batched_tokens"] * spec["npus_per_instance"]
        for key, most in (("mean_sequences", spec["max_num_seqs"] * spec["npus_per_instance"]),
                          ("mean_tokens", budget), ("mean_context", math.inf)):
            ledger.within_or_null(f"{field}.{key}", 0, most, not count)
        if not count:
            return
        if self.steps is not None:
            inside = [step for step in self.steps if self.part.inside(step.end)]
            for key, amount in (("mean_sequences", sum(step.prompts for step in inside)),
                                ("mean_tokens", sum(step.prompt_tokens for step in inside)),
                                ("mean_context", sum(step.prompt_context for step in inside))):
                ledger.near(f"{field}.{key}", quotient(amount, len(inside)))
        elif self.calm and self.part is self.whole:
            computed = [row for row in self.rows if "prefill" in row.phases]
            tokens = sum(row.prompt - row.cached for row in computed)
            ledger.near(f"{field}.mean_tokens", tokens / count)
            ledger.within(f"{field}.mean_sequences", len(computed) / count * (1 - 1e-9), math.inf)
            ledger.within(f"{field}.mean_context", sum(row.cached for row in computed) / count * (1 - 1e-9),
                          math.inf)
    def rebalancing(self) -> None:
        ledger, part, drift = self.ledger, self.part, self.facts.drift
        if not self.decoded:
            return
        role = part.figures["decode"]
        field, found = self.field("decode.rebalancing"), role["rebalancing"]
        most = self.whole.figures["decode"]["plan_changes"] if self.facts.replans else 0
        ledger.within(self.field("decode.plan_changes"), 0, most)
        if drift is None:
            return ledger.same(field, None)
        paid, steps = found["paid_s"], role["iterations"]
        busy = role["utilisation"] * part.seconds * role["instances"]
        whole = self.whole.figures["decode"]["rebalancing"]
        moves = drift["policy"] not in ("static", "oracle")
        for key in ("count", "experts"):
            ledger.within(f"{field}.{key}", 0, whole[key] if moves else 0)
        ledger.holds(f"{field}.experts", found["experts"] >= found["count"], "an expert a move at least")
        ledger.near(f"{field}.bytes", found["experts"] * self.facts.expert_bytes, found["count"])
        ledger.within(f"{field}.paid_s", 0, busy * (1 + 1e-9) if moves else 0)
        ledger.near(f"{field}.paid_share", ratio(paid, busy))
        ledger.within_or_null(f"{field}.mean_balancedness", 0, 1, not steps)
        age = f"{field}.mean_age_s"
        if drift["policy"] == "oracle":
            ledger.near(age, 0.0 if steps else None)
        elif drift["policy"] == "static" and self.steps is not None:
            ended = [step.start * MICROSECOND for step in self.steps if part.inside(step.end)]
            ledger.near(age, drift["age"] + mean(ended) if ended else None, 3 * MICROSECOND)
        else:
            ledger.within_or_null(age, 0, drift["age"] + part.span[1] * MICROSECOND, not steps)

    def gaps(self) -> None:
        field, found = self.field("itl_ms"), self.part.figures["itl_ms"]
        values = None
        if self.seen_steps is not None or not self.decoded:
            values = [length(step.span) * 1e-3 for step in self.seen_steps or ()
                      if self.part.inside(step.end) for _ in range(step.gaps)]
        self.distribution(field, (found or {"count": 0})["count"], self.longest("decode"), values, 1e-6)

    def kv(self) -> None:
        ledger, kv, spec, part = self.ledger, self.part.figures["kv"], self.facts.decode, self.part
        field = self.field("kv")
        if not self.decoded:
            for key in ("capacity_tokens", "mean_occupancy", "peak_occupancy"):
                ledger.same(f"{field}.{key}", 0)
            return
        ranks, capacity = spec["instances"] * spec["ranks"], kv["capacity_tokens"]
        dies_of_kv = ranks * (spec["tp"] if spec["splits_kv"] else 1)  # else each of a group has all
        ledger.within(f"{field}.capacity_tokens", ranks,
                      dies_of_kv * self.facts.hbm_capacity / self.facts.kv_bytes)
        ledger.holds(f"{field}.capacity_tokens", capacity % ranks == 0, f"a multiple of {ranks} ranks")
        ledger.holds(f"{field}.capacity_tokens", capacity == self.whole.figures["kv"]["capacity_tokens"],
                     "that of the whole run")
        if self.seen_steps is None or not part.seconds:
            ledger.within(f"{field}.peak_occupancy", kv["mean_occupancy"] * (1 - 1e-9), 1)
            ledger.within(f"{field}.mean_occupancy", 0, 1)
            return
        most, least = self.kv_changes
        touched = sum(r.prompt + r.output for r in self.done)  # a microsecond of each
        levels = [area(changes, part.span) / length(part.span) / capacity for changes in (least, most)]
        # Each rank's tokens are rounded down, those of one under way twice.
        fractions = spec["draft_tokens"] > 0
        running = part.figures["queues"]["decode_running"]["mean"]
        under_way = sum(r.initial > 0 for r in self.done) if fractions else 0
        slack = ((min(ranks, running) + under_way) * fractions + 2.2 * touched / length(part.span)) / capacity
        if most == least:
            ledger.near(f"{field}.mean_occupancy", levels[1], slack)
        else:
            ledger.within(f"{field}.mean_occupancy", levels[0] - slack, levels[1] + slack)
        rounded = (ranks + under_way) * fractions + 1e-9 * capacity
        peaks = (highest(least, part.span, -1.1) - rounded) / capacity, (
            highest(most, part.span, 1.1) + 1e-9 * capacity) / capacity
        ledger.within(f"{field}.peak_occupancy", *peaks)
