"""What docs/output.md defines, from requests.csv alone: rows, statistics, queues, iterations.

Times are whole microseconds (the CSV's resolution) unless a name says otherwise, so that phases add
up exactly; a difference of two of them is off by at most one.
"""
from __future__ import annotations

import csv
import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

PHASES = ("client_wait", "prefill_queue", "cache_read", "batch_wait", "prefill", "transfer_queue",
          "transfer", "decode_queue", "first_iteration", "decode")
WAITING = "prefill_queue", "batch_wait", "transfer_queue", "decode_queue"
Interval = tuple[float, float]


def microseconds(cell: str) -> int | None:
    return round(float(cell) * 1e6) if cell else None


@dataclasses.dataclass
class Row:
    """One request; `phases` holds (start, end) of those that happened."""
    outcome: str
    reason: str
    request_class: str
    prompt: int
    cached: int
    ssd: int  # of the cached
    output: int
    initial: int
    prefill_instance: str
    decode_instance: str
    decode_rank: str
    iterations: int
    preemptions: int
    arrival: int | None  # of one that waits for another: once that has ended
    sent: int | None
    finished: int | None
    ttft: int | None
    tpot: int | None
    e2el: int | None
    slo_met: int
    phases: dict[str, Interval]
    session: str
    turn: int | None
    after: int | None  # the row whose end it waits for
    think: int | None
    swaps: int  # of the preemptions
    gaps: list[float] | None = None  # seconds between consecutive outputs
    samples_first: bool = False  # the step that ends its prompt gives its first token

    @property
    def done(self) -> bool:
        return self.outcome == "finished"

    @property
    def produced(self) -> int:
        return self.output - self.initial

    @functools.cached_property
    def each(self) -> float:
        """Output tokens of an iteration: they are spread evenly."""
        return ratio(self.produced - self.samples_first, self.iterations)

    @property
    def tpot_exact(self) -> float:
        """Microseconds; of one under way at the start from where its decode starts."""
        if self.initial:
            return (self.finished - self.phases["first_iteration"][0]) / self.produced
        return (self.e2el - self.ttft) / (self.output - 1)

    def outputs(self) -> list[float]:
        """When it gave an output: at its first token and then gap after gap."""
        end = self.phases["first_iteration"][1]
        return [*itertools.accumulate((gap * 1e6 for gap in self.gaps or ()), initial=end)]


def read_rows(text: bytes) -> list[Row]:
    return [read_row(cells) for cells in csv.DictReader(text.decode().splitlines())]


def read_row(cells: dict[str, str]) -> Row:
    number = lambda key: int(cells[key])
    time = lambda key: microseconds(cells[key + "_s"])
    arrival = time("arrival")
    count = lambda key: number(key) if cells[key] else None
    assert arrival is not None or cells["after"]
    known, phases = arrival or 0, {}
    for phase in PHASES:
        if (duration := time(phase)) is not None:
            phases[phase] = (known, known + duration)
            known += duration
    return Row(cells["outcome"], cells["reason"], cells["class"], number("prompt_tokens"),
               number("cached_tokens"), number("ssd_tokens"), number("output_tokens"), number("initial_tokens"),
               cells["prefill_instance"],
               cells["decode_instance"], cells["decode_rank"], number("iterations"), number("preemptions"), arrival,
               time("sent"), time("finished"), time("ttft"), time("tpot"), time("e2el"),
               number("slo_met"), phases, cells["session"], count("turn"), count("after"), time("think"), number("swaps"))


def fnv1a64(data: bytes) -> int:
    digest = 0xcbf29ce484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001b3 % 2**64
    return digest


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0


def quotient(part: float, whole: float) -> float | None:
    """A mean; null over nothing."""
    return part / whole if whole else None


def length(interval: Interval) -> float:
    return interval[1] - interval[0]


def percentile(values: Sequence[float], share: float) -> float:
    """Linear interpolation between ranks, numpy's default."""
    ordered = sorted(values)
    rank = share * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def nearest_rank(values: Sequence[float], share: float) -> float:
    return sorted(values)[max(1, math.ceil(share * len(values) - 1e-9)) - 1]


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def statistics(values: Sequence[float]) -> dict[str, float]:
    """Empty without a sample."""
    if not values:
        return {}
    centre = mean(values)
    return {"mean": centre, "median": percentile(values, 0.5), "p99": percentile(values, 0.99),
            "std": math.sqrt(mean([(v - centre) ** 2 for v in values])), "max": max(values)}


def overlap(interval: Interval, window: Interval) -> float:
    return max(0.0, min(interval[1], window[1]) - max(interval[0], window[0]))


def share_inside(interval: Interval, window: Interval) -> float:
    return overlap(interval, window) / length(interval)


Change = tuple[float, float]  # when a level changes, and by how much


def stay_changes(stays: Iterable[Interval]) -> list[Change]:
    return [change for start, end in stays for change in ((start, 1), (end, -1))]


def highest(changes: Sequence[Change], window: Interval, widened: float) -> float:
    """The highest level in the window, when each rise came `widened` earlier and each fall later.

    So is a level that is left in the moment it is reached, or, with `widened` below 0, is not.
    """
    moved = [(at - widened if by > 0 else at + widened, by) for at, by in changes]
    first, last = window[0] - widened, window[1] + widened
    level = best = 0.0
    for at, by in sorted(moved):
        if at >= last:
            break
        if at > first:
            best = max(best, level)
        level += by
    return max(best, level)


def area(changes: Iterable[Change], window: Interval) -> float:
    """Level x time in the window."""
    begin, end = window
    return math.fsum(by * (end - (at if at > begin else begin)) for at, by in changes if at < end)


def integrals(changes: Iterable[Change], window: Interval, bins: int, width: float) -> list[float]:
    """Level x time in each of so many bins from the start of the window, which it may end."""
    begin, end = window
    jump, steady = [0.0] * (bins + 1), [0.0] * bins  # from the next bin on; in the bin itself
    for at, by in changes:
        index = max(0, math.floor((at - begin) / width))
        if index >= bins:
            continue
        stop = min(begin + (index + 1) * width, end)
        steady[index] += by * max(0.0, stop - max(at, begin))
        jump[index + 1] += by
    level, sums = 0.0, []
    for index in range(bins):
        level += jump[index]
        start = begin + index * width
        sums.append(level * max(0.0, min(start + width, end) - start) + steady[index])
    return sums


@dataclasses.dataclass
class Iteration:
    instance: str
    start: float
    end: float
    sequences: int = 0
    tokens: float = 0  # a request's are spread evenly over its iterations
    context: float = 0  # found in the cache, or held at the start
    gaps: int = 0  # sequences that went on from the step before
    prompts: int = 0  # computed beside the sequences, on mixed instances
    prompt_tokens: int = 0
    prompt_context: int = 0  # found in the cache

    @property
    def span(self) -> Interval:
        return self.start, self.end


def prefill_batches(rows: Sequence[Row], budget: int) -> list[Iteration] | None:
    """The batches, when each request was prefilled in one; None when the CSV cannot tell."""
    batches: dict[tuple[str, Interval], Iteration] = {}
    for row in rows:
        if "prefill" not in row.phases:
            continue
        span = row.phases["prefill"]
        if row.preemptions or row.outcome != "finished" or row.prompt - row.cached > budget:
            return None
        instance = row.prefill_instance
        batch = batches.setdefault((instance, span), Iteration(instance, *span))
        batch.sequences += 1
        batch.tokens += row.prompt - row.cached
        batch.context += row.cached
    ordered = sorted(batches.values(), key=lambda b: (b.instance, b.start))
    for before, after in itertools.pairwise(ordered):
        if before.instance == after.instance and after.start < before.end - 1:
            return None  # a chunked prompt's span covers several batches
    return ordered


def decode_steps(rows: Sequence[Row]) -> list[Iteration] | None:
    """The steps, when every request that decoded finished and kept its KV; None otherwise.

    A request's outputs end at its first token and then gap after gap; outputs of one instance within
    two microseconds end the same step. A sequence that goes on gives its length: the gap. A prompt
    that a mixed instance computes is one step long here.
    """
    outputs: list[Iteration] = []
    for row in rows:
        if not row.decode_instance:
            continue
        if not row.done or row.gaps is None or len(row.gaps) + 1 != row.iterations + row.samples_first:
            return None
        outputs += outputs_of(row)
    steps: list[Iteration] = []
    for output in sorted(outputs, key=lambda o: (o.instance, o.end, o.end - o.start)):
        if not steps or steps[-1].instance != output.instance or output.end - steps[-1].end > 2:
            steps.append(Iteration(output.instance, output.start, output.end))
        step = steps[-1]
        if output.gaps:  # a gap is exact, a first iteration is rounded
            step.start = step.end - length(output.span)
        for field in ("sequences", "tokens", "context", "gaps", "prompts", "prompt_tokens",
                      "prompt_context"):
            setattr(step, field, getattr(step, field) + getattr(output, field))
    return steps


def outputs_of(row: Row) -> Iterator[Iteration]:
    """What the request has of each step that gave it an output."""
    instance, held = row.decode_instance, row.prompt + row.initial
    _, *later = row.outputs()
    if row.samples_first:
        yield Iteration(instance, *row.phases["prefill"], tokens=1, prompts=1,
                        prompt_tokens=row.prompt - row.cached, prompt_context=row.cached)
    else:
        yield Iteration(instance, *row.phases["first_iteration"], 1, row.each, held)
    done = 0 if row.samples_first else 1
    for number, (end, gap) in enumerate(zip(later, row.gaps or ()), start=done):
        yield Iteration(instance, end - gap * 1e6, end, 1, row.each, held + number * row.each, 1)
