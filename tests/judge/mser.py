"""MSER-5, with what rounding leaves open: which numbers of observations may be the warm-up."""
from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

BATCH = 5
FEWEST_LEFT = 5  # means


def means_of(values: Sequence[float]) -> list[float]:
    return [math.fsum(values[i:i + BATCH]) / BATCH for i in range(0, len(values) // BATCH * BATCH, BATCH)]


def warm_ups(series: Sequence[float], slack: Sequence[float]) -> set[int | None]:
    """Observations to delete, of a series each value of which may be off by its slack.

    None: the minimum lies in the second half. Of equal errors the one that deletes least counts.
    """
    means, spread = means_of(series), means_of(slack)
    errors: list[tuple[float, float]] = []  # least and most, from the end
    centre = math.fsum(means[len(means) // 2:]) / (len(means) - len(means) // 2)
    total = squares = slacks = 0.0
    for left, (value, by) in enumerate(zip(reversed(means), reversed(spread)), start=1):
        total += value - centre
        squares += (value - centre) ** 2
        slacks += by ** 2
        sum_of_squares = max(0.0, squares - total ** 2 / left)
        # The norm of what is off adds to the norm of the deviations; and what doubles lose.
        root, off = math.sqrt(sum_of_squares), math.sqrt(slacks)
        lost = 1e-12 * squares
        errors.append(((max(0.0, root - off) ** 2 - lost) / left ** 2,
                       ((root + off) ** 2 + lost) / left ** 2))
    errors.reverse()
    candidates = errors[:len(means) - FEWEST_LEFT + 1]
    most = [most for _, most in candidates]
    before = list(itertools.accumulate([math.inf, *most], min))
    after = list(itertools.accumulate([math.inf, *reversed(most)], min))[::-1]
    found: set[int | None] = set()
    for i, (least, _) in enumerate(candidates):
        if least < before[i] and least <= after[i + 1]:
            found.add(None if i > len(means) // 2 else i * BATCH)
    return found
