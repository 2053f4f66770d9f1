"""What vLLM's benchmark writes of its arguments, and the busiest second."""
from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate

from view import MICROSECOND, View

EDGE = 2 * MICROSECOND  # by which rounding may move a time over the edge of a second


class BenchmarkFigures(View):
    def judge(self) -> None:
        self.arguments()
        self.concurrency()
        self.tokens()

    def arguments(self) -> None:
        same, arrivals = self.ledger.same, self.facts.arrivals
        kind, rate = arrivals["kind"], arrivals.get("rate")
        dated = {"poisson": 1, "gamma": arrivals.get("burstiness"), "constant": "inf"}
        undated = kind in ("all_at_once", "closed_loop")
        same("model_id", self.facts.model)
        same("num_prompts", len(self.rows))
        same("failed", len(self.rows) - len(self.done))
        same("request_rate", "inf" if undated else rate)
        same("burstiness", 1 if undated else dated.get(kind))
        same("max_concurrency", arrivals.get("concurrency"))

    def concurrency(self) -> None:
        """The most requests of one second, with every stay shortened and lengthened by the edge."""
        start = min((r.sent for r in self.done), default=0)
        most = []
        for edge in (-EDGE, EDGE):
            changes: Counter[int] = Counter()
            for row in self.done:
                changes[max(0, math.floor((row.sent - start) * MICROSECOND - edge))] += 1
                changes[math.floor((row.finished - start) * MICROSECOND + edge) + 1] -= 1
            most.append(max(accumulate(change for _, change in sorted(changes.items())), default=0))
        self.ledger.between("max_concurrent_requests", *most)

    def tokens(self) -> None:
        """An output carries a token to 1 + draft_tokens; those of requests that failed count too."""
        if not self.done:
            return self.ledger.same("max_output_tokens_per_s", 0)
        start = min(r.sent for r in self.done)
        counts: tuple[Counter[int], Counter[int]] = Counter(), Counter()
        for row in self.done:
            first = row.phases["first_iteration" if self.decoded else "prefill"][1]
            gaps = row.gaps if self.decoded else []
            for time in accumulate(gaps, initial=(first - start) * MICROSECOND):
                early, late = math.floor(time - EDGE), math.floor(time + EDGE)
                counts[0][early] += early == late
                for second in {early, late}:
                    counts[1][second] += 1
        least, most = (max(count.values()) for count in counts)
        if self.decoded:
            most *= 1 + self.facts.decode["draft_tokens"]
        if self.decoded and not self.calm:
            least, most = 0, max(most, sum(r.output for r in self.rows))
        self.ledger.between("max_output_tokens_per_s", least, most)
