"""Figures of the whole run alone: cache, uplinks, breakdown of the mean step and batch."""
from __future__ import annotations

import itertools
import math
import pathlib
from typing import Any

from cases import load_commented
from formulas import Row, quotient
from view import MICROSECOND, View

ENVELOPE = load_commented(pathlib.Path(__file__).parents[2] / "workloads/studies/envelope.json")


class SystemFigures(View):
    def judge(self) -> None:
        for judge in (self.cache, self.uplinks, self.breakdown, self.extrapolated):
            judge()

    def cache(self) -> None:
        ledger, cache, spec = self.ledger, self.result["cache"], self.facts.cache
        block = spec["block_size"]
        of_each = self.facts.cache_bytes / self.facts.supernodes
        capacity = math.floor(of_each / (block * self.facts.kv_bytes)) * self.facts.supernodes
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
            looked_up = [self.looked_up(more) for more in range(self.maybe_population() + 1)]
            for unit, tokens in (("blocks", block), ("tokens", 1)):
                ledger.either(f"cache.lookup_{unit}",
                              [sum(math.ceil(r.prompt / tokens) for r in rows) for rows in looked_up])
                ledger.same(f"cache.hit_{unit}", sum(math.ceil(r.cached / tokens) for r in looked_up[0]))

        ledger.holds("cache.tiers", ("tiers" in cache) == (self.facts.ssd_bytes > 0), "where there are SSDs")
        if "tiers" in cache:
            self.tiers(cache["tiers"])

    def tiers(self, tiers: dict[str, Any]) -> None:
        ledger, cache, dram, ssd = self.ledger, self.result["cache"], tiers["dram"], tiers["ssd"]
        of_each = self.facts.ssd_bytes / self.facts.supernodes
        capacity = math.floor(of_each / (cache["block_size"] * self.facts.kv_bytes)) * self.facts.supernodes
        ledger.same("cache.tiers.ssd.capacity_blocks", capacity)
        ledger.near("cache.tiers.ssd.occupancy", quotient(ssd["stored_blocks"], capacity))
        for name, tier, other in (("dram", dram, ssd), ("ssd", ssd, dram)):
            field = f"cache.tiers.{name}"
            for unit in ("blocks", "tokens"):
                ledger.same(f"{field}.hit_{unit}", cache[f"hit_{unit}"] - other[f"hit_{unit}"])
            ledger.same(f"{field}.hit_bytes", tier["hit_tokens"] * self.facts.kv_bytes)
            ledger.near(f"{field}.hit_rate_by_token", quotient(tier["hit_tokens"], cache["lookup_tokens"]))
        if self.calm:
            ledger.same("cache.tiers.ssd.hit_tokens", sum(r.ssd for r in self.rows))
        prefetched, written = ssd["prefetched_blocks"], ssd["placed_blocks"] + ssd["demoted_blocks"]
        for field in ("prefetched", "placed", "demoted"):
            ledger.within(f"cache.tiers.ssd.{field}_blocks", 0, math.inf)
        ledger.within("cache.tiers.ssd.prefetch_used_blocks", 0, prefetched - ssd["prefetch_wasted_blocks"])
        ledger.within("cache.tiers.ssd.prefetch_wasted_blocks", 0, prefetched)
        ledger.within("cache.tiers.ssd.promoted_blocks", 0, ssd["hit_blocks"] + prefetched)
        ledger.within("cache.tiers.ssd.stored_blocks", 0, min(capacity, written))
        ledger.within("cache.tiers.ssd.evicted_blocks", 0, written)
        ledger.holds("cache.tiers.ssd.evicted_blocks", ssd["stored_blocks"] + ssd["evicted_blocks"] <= written,
                     f"no more held or evicted than the {written} written")
        moved = self.whole.figures["transfers"]
        block = cache["block_size"] * self.facts.kv_bytes
        ledger.within("whole_run.transfers.ssd_read.bytes", 0, (ssd["hit_blocks"] + prefetched) * block)
        if not self.partial:
            ledger.within("whole_run.transfers.ssd_write.bytes", 0, written * block)

    def extrapolated(self) -> None:
        """What lies outside of the envelope by more than its tolerance; the device is always the validated one."""
        envelope, figures, found = ENVELOPE, self.window.figures, []

        def check(what: str, value: float | None) -> None:
            role, key = what.split("/")
            least, most = envelope[role][key]
            slack = envelope["tolerance"]
            if value is not None and not least * (1 - slack) <= value <= most * (1 + slack):
                found.append((what, value, least, most))

        if (decode := figures["decode"]) is not None:
            sequences = decode["mean_sequences"]
            check("decode/batch_per_npu",
                  None if sequences is None else sequences * decode["instances"] / decode["npus"])
            check("decode/context_tokens", quotient(decode["mean_context"], sequences) if sequences else None)
            if self.facts.mixed:
                found.append(("decode/instances", "that compute prompts too", "of its own", None))
            check("decode/ep", self.facts.decode["ep"])
        if figures["prefill"] is not None:
            check("prefill/ep", self.facts.prefill["ep"])
            check("prefill/prompt_tokens", quotient(sum(r.prompt for r in self.done), len(self.done)))
        for i, (what, value, least, most) in enumerate(found):
            field = f"provenance.extrapolated.{i}"
            self.ledger.same(f"{field}.what", what)
            if most is None:  # a name
                self.ledger.same(f"{field}.value", value)
                self.ledger.same(f"{field}.validated", least)
                continue
            self.ledger.near(f"{field}.value", value)
            self.ledger.near(f"{field}.validated.0", least)
            self.ledger.near(f"{field}.validated.1", most)

    def population(self) -> int:
        """Rows of the first population, which come before the trace's: at least so many."""
        return max((i + 1 for i, row in enumerate(self.rows) if row.initial), default=0)

    def maybe_population(self) -> int:
        """Rows after those which may belong to it: without a token yet, they come like any other."""
        first = self.population()
        if not first or self.facts.closed_loop:
            return 0
        following = itertools.takewhile(lambda row: row.sent == self.first_send, self.rows[first:])
        return len(list(following))

    def looked_up(self, more: int) -> list[Row]:
        """Requests that are looked up in the cache. The first population has no block ids."""
        known = 0 if "reuse" in self.facts.cache else self.population() + more
        taken = lambda row: row.prefill_instance or (self.facts.mixed and "prefill_queue" in row.phases)
        return [r for r in self.rows[known:] if taken(r) and self.facts.block_ids]

    def uplinks(self) -> None:
        links = self.whole.figures["links"]
        used = any(link["transfer_bytes"] for link in links if link["class"] == "uplink")
        self.ledger.same("uplinks.in_paths", True, unless=not used)
        self.ledger.within("uplinks.pressure", 0, math.inf)

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
                math.fsum(path.values()), duration - parts["host"], rel_tol=1e-6),
                f"a sum of {duration - parts['host']}")
            for name, loss in found["losses"].items():
                bounds.append((f"losses.{name}.us", -0.1 * duration, duration))
                ledger.near(f"{field}.losses.{name}.share", loss["us"] / duration)
            for name, low, high in bounds:
                ledger.within(f"{field}.{name}", low, high)
