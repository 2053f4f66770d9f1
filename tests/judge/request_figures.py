"""Figures of requests over the whole run: counts, and what vLLM's benchmark counts."""
from __future__ import annotations

from collections import Counter

from formulas import length, ratio, statistics
from view import MICROSECOND, ROUNDED, View


class RequestFigures(View):
    def judge(self) -> None:
        for judge in (self.rows_alone, self.sessions, self.supernodes, self.counts, self.throughput, self.latencies, self.detailed):
            judge()

    def rows_alone(self) -> None:
        """What every row of requests.csv must be by itself."""
        holds = lambda column, truth, what: self.ledger.holds(f"requests.csv {column}", truth, what)
        for row in self.rows:
            holds("phases", all(s <= e for s, e in row.phases.values()), "phases that go forward")
            holds("cached_tokens", 0 <= row.cached < row.prompt, "fewer than the prompt's")
            holds("ssd_tokens", 0 <= row.ssd <= (row.cached if self.facts.ssd_bytes else 0), "of those cached")
            holds("swaps", 0 <= row.swaps <= (row.preemptions if self.facts.swap else 0), "of the preemptions")
            holds("initial_tokens", 0 <= row.initial < row.output, "fewer than the output")
            if row.initial:
                holds("initial_tokens", self.facts.stationary, "0 without a stationary start")
                holds("sent_s", row.sent in (None, self.first_send), "the start of the run")
                holds("phases", row.preemptions or not row.phases.keys() & {
                    "prefill_queue", "cache_read", "batch_wait", "prefill", "transfer_queue",
                    "transfer"}, "neither prefill nor a pull for one under way")
            if not row.done:
                continue
            first = row.phases["first_iteration" if self.decoded else "prefill"][1]
            holds("ttft_s", row.ttft == first - row.sent, "first token - sent")
            holds("e2el_s", row.e2el == row.finished - row.sent, "finished - sent")
            holds("phases", max(end for _, end in row.phases.values()) == row.finished,
                  "phases that add up to the latency")
            if self.decoded and row.output > 1:
                holds("tpot_s", abs(row.tpot - row.tpot_exact) <= 0.51, row.tpot_exact)
            if self.decoded:
                most = row.iterations * (1 + self.facts.decode["draft_tokens"])
                decoded = row.produced - row.samples_first
                # What it came with was whole iterations, and their tokens rounded down.
                holds("iterations", row.iterations - (row.initial > 0) <= decoded <= most + 1,
                      f"output tokens between {row.iterations} and {most}")
            if row.samples_first:
                holds("first_iteration_s", row.phases["first_iteration"] == (first, first)
                      == row.phases["decode_queue"] and row.phases["prefill"][1] == first,
                      "0: the end of its prompt gives the first token")
                holds("prefill_instance", not row.prefill_instance and "transfer" not in row.phases,
                      "none, and no KV pull")

    def sessions(self) -> None:
        """A turn that waits is due when the one before has ended, and its user has thought."""
        holds = lambda column, truth, what: self.ledger.holds(f"requests.csv {column}", truth, what)
        for row in self.rows:
            holds("turn", (row.turn is None) == (not row.session), "a number within a session")
            if row.after is None:
                holds("arrival_s", row.arrival is not None, "the date of one that waits for nobody")
                first = self.facts.stationary or not self.facts.drawn_sessions or row.turn == 1
                holds("after", first or not self.facts.waits, "the turn before")
                continue
            before = self.rows[row.after]
            holds("after", self.facts.waits and before.session == row.session and before.turn < row.turn,
                  "an earlier turn of the session, where turns wait")
            if row.arrival is None:
                holds("sent_s", row.sent is None, "none before it is due")
                continue
            holds("arrival_s", before.finished is not None
                  and abs(before.finished + row.think - row.arrival) <= ROUNDED,
                  "the end of the turn before and the think time")

    def supernodes(self) -> None:
        """Instances are numbered over supernodes, and a request stays on one."""
        facts, count = self.facts, self.facts.supernodes
        holds = lambda column, truth, what: self.ledger.holds(f"requests.csv {column}", truth, what)
        in_turn = sorted(self.sent, key=lambda row: row.sent)
        for turn, row in enumerate(in_turn):
            beside = in_turn[max(0, turn - 1):turn] + in_turn[turn + 1:turn + 2]
            tied = facts.waits and any(abs(other.sent - row.sent) <= ROUNDED for other in beside)
            served = set()
            for column, number, spec in (("prefill_instance", row.prefill_instance, facts.prefill),
                                         ("decode_instance", row.decode_instance, facts.decode)):
                if not number:
                    continue
                holds(column, 0 <= int(number) < spec["instances"], f"below {spec['instances']}")
                served.add(int(number) // (spec["instances"] // count))
            if row.decode_rank:
                holds("decode_rank", 0 <= int(row.decode_rank) < facts.decode["ranks"],
                      f"below {facts.decode['ranks']}")
            holds("decode_instance", len(served) < 2, "on the supernode of its prefill instance")
            if served and not tied and count > 1 and facts.supernode_routing == "round_robin":
                holds("decode_instance", served == {turn % count}, f"on supernode {turn % count}")

    def counts(self) -> None:
        same, outcomes = self.ledger.same, Counter(r.outcome for r in self.rows)
        same("requests.total", len(self.rows))
        for outcome in ("finished", "rejected", "failed", "unfinished"):
            same(f"requests.{outcome}", outcomes[outcome])
        for reason, count in Counter(r.reason for r in self.rows if not r.done).items():
            same(f"requests.by_reason.{reason}", count)
        same("requests.initial", sum(r.initial > 0 for r in self.rows))
        same("requests.preempted", sum(r.preemptions > 0 for r in self.rows))
        same("requests.swapped", sum(r.swaps > 0 for r in self.rows))
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
                              ("total_token_throughput", inputs + outputs),
                              ("request_goodput", sum(r.slo_met for r in self.done))):
            ledger.near(field, ratio(amount, duration), 0, relative)

    def latencies(self) -> None:
        """ITL is that of the whole run, which is recomputed where the steps are known."""
        tpots = [r.tpot_exact for r in self.done if self.decoded and r.output > 1]
        for name, values in (("ttft", [r.ttft for r in self.fresh]), ("tpot", tpots),
                             ("e2el", [r.e2el for r in self.fresh])):
            figures = statistics([value * 1e-3 for value in values])
            for key in ("mean", "median", "std", "p99"):
                self.ledger.near(f"{key}_{name}_ms", figures.get(key), 1.01e-3)
        gaps = self.result["whole_run"]["itl_ms"] or {}
        for key in ("mean", "median", "std", "p99"):
            self.ledger.near(f"{key}_itl_ms", gaps.get(key))

    def detailed(self) -> None:
        for i, row in enumerate(self.done):
            gaps = self.result["itls"][i]
            self.ledger.near(f"ttfts.{i}", row.ttft * MICROSECOND, 1.01 * MICROSECOND)
            self.ledger.same(f"input_lens.{i}", row.prompt)
            self.ledger.same(f"output_lens.{i}", row.output)
            time = length(row.phases.get("decode", (0, 0))) * MICROSECOND
            self.ledger.holds(f"itls.{i}", abs(time - sum(gaps)) <= 2 * MICROSECOND
                              and min(gaps, default=0) >= 0, f"gaps that add up to {time}")
