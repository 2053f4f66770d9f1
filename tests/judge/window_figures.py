"""The ends of the run and of its measurement window, and whether the system keeps up."""
from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

from formulas import (Change, Interval, Row, integrals, length, mean, overlap, percentile, ratio,
                      stay_changes)
from ledger import PRINTED
from mser import warm_ups
from view import MICROSECOND, ROUNDED, View

NARROWEST, MOST_BINS, FEWEST_BINS = 2.0 ** -16, 2048, 50
AT_ONCE = "arrivals end within the first 20th of the run"
NEVER = "; {}: no length would do"
UNSETTLED = "the system still fills or drains when arrivals end"


class WindowFigures(View):
    def judge(self) -> None:
        self.begin, self.end = (self.result["whole_run"][key] for key in ("from_s", "to_s"))
        for judge in (self.run, self.window_ends, self.load, self.verdict):
            judge()

    def run(self) -> None:
        ledger, last_end = self.ledger, self.last_end * MICROSECOND
        if self.sent:
            ledger.near("whole_run.from_s", self.first_send * MICROSECOND, MICROSECOND)
        else:
            ledger.near("whole_run.from_s", self.end)
        writes = self.whole.figures["transfers"]["cache_write"]
        if self.partial or self.facts.ssd_bytes:  # what is demoted last waits for its volume
            ledger.within("whole_run.to_s", last_end - MICROSECOND, math.inf)
        elif writes["count"]:  # the run ends with its last cache write; they may wait in turn
            longest = writes["count"] * writes["mean_ms"] * 1e-3
            ledger.within("whole_run.to_s", last_end - MICROSECOND, last_end + longest + 2 * MICROSECOND)
        else:
            ledger.near("whole_run.to_s", last_end, MICROSECOND)

    # -- the window -------------------------------------------------------------------------------

    @functools.cached_property
    def width(self) -> float:
        width = NARROWEST
        while (self.end - self.begin) / width >= MOST_BINS:
            width *= 2
        return width

    def bin_at(self, seconds: float) -> int:
        return max(0, math.floor((seconds - self.begin) / self.width))

    def start_of(self, number: int) -> float:
        return self.begin + self.width * number

    def window_ends(self) -> None:
        ledger, found = self.ledger, self.result["window"]
        last = self.last_send * MICROSECOND if self.sent else self.begin
        choices = {self.bin_at(last + by) + 1 for by in (-MICROSECOND, 0, MICROSECOND)}
        end_of = lambda bins: min(self.end, self.start_of(bins))
        bins = min(choices, key=lambda bins: abs(end_of(bins) - found["to_s"]))
        if found["rule"] == "whole_run" and min(choices) < FEWEST_BINS:
            bins = min(choices)
        if bins < FEWEST_BINS:
            ledger.same("window.rule", "whole_run")
            ledger.near("window.from_s", self.begin)
            ledger.near("window.to_s", self.end)
            ledger.same("window.steady", False)
            ledger.same("window.why_not", AT_ONCE + self.never)
            ledger.same("window.needed_s", None)
            ledger.same("window.cohort_to_s", None)
            return
        ledger.near("window.to_s", end_of(bins), 0, PRINTED)
        ledger.near("window.cohort_to_s", (found["from_s"] + found["to_s"]) / 2)
        deleted = round((found["from_s"] - self.begin) / self.width)
        if self.facts.warmup is not None:
            ledger.same("window.rule", "set")
            warm = self.begin + self.facts.warmup + self.width / 2
            choices = {min(self.bin_at(warm + by), bins - 1) for by in (-MICROSECOND, 0, MICROSECOND)}
            ledger.either("window.from_s", map(self.start_of, choices), 0, PRINTED)
            settled = True
        elif self.facts.stationary:
            ledger.same("window.rule", "stationary_start")
            ledger.near("window.from_s", self.begin)
            settled = True
        else:
            ledger.same("window.rule", "mser5")
            settled = found["why_not"] != UNSETTLED + self.never
            self.mser(bins, deleted, settled)
        self.steadiness(settled, last - self.begin)

    def mser(self, bins: int, deleted: int, settled: bool) -> None:
        """The longest warm-up of the series, or half of the arrivals when one never settles."""
        expected = self.start_of(deleted if settled else bins // 2)
        choices, complete = self.warm_ups(bins)
        if settled:
            possible = all(any(w is not None and w <= deleted for w in c) for c in choices)
            possible &= deleted % 5 == 0 and deleted <= bins // 2
            possible &= not complete or any(deleted in c for c in choices)
        else:
            possible = not complete or any(None in c for c in choices)
        if complete:
            self.ledger.near("window.from_s", expected, 0, PRINTED)
        else:
            slack = PRINTED * abs(expected)
            self.ledger.within("window.from_s", expected - slack, expected + slack)
        self.ledger.holds("window.from_s", possible, f"bin {deleted} of {bins}, warm-ups {choices}, "
                          f"{'settled' if settled else 'unsettled'}")

    def warm_ups(self, bins: int) -> tuple[list[set[int | None]], bool]:
        """Of the series that are known, and whether those are all."""
        if not self.calm:
            return [], False
        role = self.facts.role
        levels = [[(r.sent, r.phases["prefill"][1]) for r in self.done if "prefill" in r.phases]]
        from_prefill = lambda r: r.phases["prefill"][1] if role == "all" else r.sent
        levels.append([(from_prefill(r), r.finished) for r in self.done] if self.decoded else [])
        choices = [self.warm_up(stay_changes(stays), bins, 0) for stays in levels]
        if not self.decoded:
            return choices, True
        if role == "decode" or self.seen_steps is None:
            return choices, False
        rounded = self.facts.decode["instances"] * self.facts.decode["ranks"]  # down, on every one
        if not self.facts.decode["draft_tokens"]:
            rounded = 0
        return [*choices, self.warm_up(self.kv_changes[0], bins, rounded)], True

    def warm_up(self, changes: list[Change], bins: int, rounded: float) -> set[int | None]:
        """A level may change a microsecond earlier or later, and be lower by what is rounded."""
        width = self.width * 1e6
        series = integrals(changes, (self.t0, self.t1), bins, width)
        slack = [rounded * width / 2 if level else 0.0 for level in series]
        for at, by in changes:
            for index in {math.floor((at + side - self.t0) / width) for side in (-1, 1)}:
                if 0 <= index < bins:
                    slack[index] += abs(by)
        return warm_ups(series, slack)

    @property
    def never(self) -> str:
        """What is added to the reason where no stream of arrivals is long enough."""
        verdict = self.result["load"]["verdict"]
        return NEVER.format(verdict) if verdict in ("overloaded", "saturated") else ""

    def steadiness(self, settled: bool, arrivals: float) -> None:
        ledger, found = self.ledger, self.result["window"]
        stays = [r.e2el * MICROSECOND for r in self.fresh]
        residence = mean(stays) if stays else 0.0
        window = found["to_s"] - found["from_s"]
        if not settled:
            ledger.same("window.steady", False)
            longest = percentile(stays, 0.99) if stays else 0.0
            ledger.near("window.needed_s", None if self.never else 2 * max(longest, arrivals),
                        2 * MICROSECOND)
            ledger.same("window.why_not", UNSETTLED + self.never)
            return
        short = window < residence
        if abs(window - residence) < MICROSECOND:
            short = not found["steady"]
        ledger.same("window.steady", not short)
        ledger.near("window.needed_s", found["from_s"] - self.begin + residence
                    if short and not self.never else None, MICROSECOND)
        texts = [f"the window of {window:.4g} s is shorter than a request is in the system "
                 f"({residence + by:.4g} s){self.never}" for by in (0, -MICROSECOND, MICROSECOND)] if short else [""]
        ledger.same("window.why_not", found["why_not"] if found["why_not"] in texts else texts[0])

    # -- load -------------------------------------------------------------------------------------

    def load(self) -> None:
        ledger, load, window = self.ledger, self.result["load"], self.window
        fresh = [r.sent for r in self.sent if not r.initial and r.sent <= self.last_send]
        arrivals = (max(fresh, default=0) - min(fresh, default=0)) * MICROSECOND
        no_rate = self.facts.closed_loop or not arrivals
        ledger.near("load.arrival_rate", None if no_rate else len(fresh) / arrivals, 0,
                    ratio(2 * MICROSECOND, arrivals) + 1e-9)
        ledger.same("load.why_no_rate", "a closed loop: the system decides when requests come"
                    if self.facts.closed_loop else "no request was sent" if not fresh
                    else "" if arrivals else "requests come all at once")
        last = max(fresh, default=self.last_send)
        ledger.near("load.drain_s", self.end - last * MICROSECOND if self.sent else 0, MICROSECOND)
        waits = [span for r in self.sent for span in self.waits(r)]
        stays = [(r.sent, self.t1 if r.finished is None else r.finished) for r in self.sent]
        waiting = math.fsum(overlap(span, window.span) for span in waits)
        self.in_system = math.fsum(overlap(span, window.span) for span in stays)
        ledger.near("load.waiting_share", ratio(waiting, self.in_system),
                    ratio(3 * len(self.sent), self.in_system))
        begin, third = window.span[0], length(window.span) / 3
        thirds = [(begin + i * third, begin + (i + 1) * third) for i in range(3)]
        levels = [ratio(math.fsum(overlap(span, part) for span in waits), third) for part in thirds]
        touched = ratio(3 * sum(s <= window.span[1] and e >= window.span[0] for s, e in waits), third)
        for i, level in enumerate(levels):
            ledger.near(f"load.waiting_by_third.{i}", level, touched)
        first, _, third_level = load["waiting_by_third"]
        rate = window.figures["request_rate"]
        come = 2 * window.seconds / 3 * (rate or 0)
        ledger.near("load.growth_share", ratio(third_level - first, come),
                    ratio(PRINTED * (third_level + first), come))
        self.role_load("prefill", lambda r: r.prompt - r.cached)
        self.role_load("decode", lambda r: r.output)

    def offered(self) -> tuple[list[Row], list[Row], Interval]:
        """What is sent while the load is judged; of a stream measured whole any of the last
        microsecond may be the last, which closes it."""
        begin, end = self.window.edges
        fresh = [r for r in self.sent if not r.initial]
        if self.window.figures["rule"] != "whole_run":
            rows = [r for r in fresh if begin <= r.sent < end]
            # Where nothing is served the run may end with its last send, which is not before the end.
            last = self.t1 - ROUNDED if self.window.span[1] >= self.t1 else end
            return [r for r in rows if r.sent < last], rows, self.window.span
        fresh = [r for r in fresh if r.sent <= self.last_send]
        span = min((r.sent for r in fresh), default=0), max((r.sent for r in fresh), default=0)
        before = [r for r in fresh if r.sent < span[1]]
        return before, before if len(before) + 1 == len(fresh) else fresh, span

    def role_load(self, role: str, tokens_of: Callable[[Row], int]) -> None:
        """What is sustained is the step model's; how it hangs together with the rest is not."""
        ledger, field, found = self.ledger, f"load.{role}", self.result["load"][role]
        window = self.result["window"]
        (least, most), span = ([sum(map(tokens_of, rows)) for rows in self.offered()[:2]],
                               self.offered()[2])
        open_stream = not self.facts.closed_loop and length(span) > 0
        missing = self.facts.role not in ("all", role) or (role == "prefill" and self.facts.mixed)
        if missing or not open_stream or not least:
            ledger.same(field, None)
            return
        if found is None:
            ledger.same(field, "what it is offered and sustains")
            return
        offered, sustained, within = (found[f"{key}_tokens_per_second"]
                                      for key in ("offered", "sustained", "within_slo"))
        seconds, name = length(span) * MICROSECOND, f"{field}.offered_tokens_per_second"
        exact = window["rule"] != "whole_run"  # else from one rounded send to another
        slack = (self.window.printed if exact else 2 * MICROSECOND / seconds) + 1e-9
        if least == most:
            ledger.near(name, most / seconds, 0, slack)
        else:
            ledger.within(name, least / seconds * (1 - slack), most / seconds * (1 + slack))
        ledger.within(f"{field}.sustained_tokens_per_second", 0, math.inf)
        if role == "prefill":
            ledger.near(f"{field}.within_slo_tokens_per_second", sustained)
        else:
            ledger.within(f"{field}.within_slo_tokens_per_second", 0, sustained)
        ledger.near(f"{field}.rho", offered / within if within else None)

    def verdict(self) -> None:
        """From the figures it is made of, which are judged themselves."""
        load, window = self.result["load"], self.window
        first, second, third = load["waiting_by_third"]
        rate, growth = window.figures["request_rate"] or 0, load["growth_share"]
        served = ratio(self.in_system * MICROSECOND * (1 - load["waiting_share"]), rate * window.seconds)
        waits = ratio(third, rate)
        grows = first < second < third and (growth > 0.1 or (growth > 0.02 and waits > served))
        exceeds = lambda role, most: load[role] is not None and (
            load[role]["offered_tokens_per_second"] > load[role][f"{most}_tokens_per_second"])
        came = [r for r in self.rows if not r.initial and r.sent is not None]
        served = any(r.done for r in came) if came else bool(self.done)
        verdict = "stable" if served else "unserved"
        if load["waiting_share"] > 0.5 or exceeds("decode", "within_slo"):
            verdict = "saturated"
        if grows or exceeds("prefill", "sustained") or exceeds("decode", "sustained"):
            verdict = "overloaded"
        close = first < second < third and 0.02 < growth <= 0.1 and math.isclose(
            waits, served, rel_tol=1e-5)
        half = math.isclose(load["waiting_share"], 0.5, rel_tol=1e-9)
        self.ledger.same("load.verdict", verdict, unless=close or half)

    def waits(self, row: Row) -> Iterator[Interval]:
        """Where it waits; one that the end of the run cut off is still where its last phase left it."""
        kinds = {"prefill_queue", "batch_wait", "transfer_queue", "decode_queue"}
        yield from (span for phase, span in row.phases.items() if phase in kinds)
        if row.outcome != "unfinished":
            return
        entered = {"client_wait": "prefill_queue", "cache_read": "batch_wait",
                   "prefill": "transfer_queue", "transfer": "decode_queue"}
        if self.facts.role == "decode" or row.initial:
            entered["client_wait"] = "decode_queue"
        elif not row.cached:
            entered["prefill_queue"] = "batch_wait"
        last, (_, end) = next(reversed(row.phases.items()))
        if entered.get(last) in kinds:
            yield end, self.t1
