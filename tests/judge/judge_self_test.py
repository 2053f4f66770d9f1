#!/usr/bin/env python3
"""Spoils every recomputed field of a result, one at a time, and sees the judge object.

    judge_self_test.py CMSIM

A float is spoilt by 0.1 %, a count by one. The machine is a thousandth as fast as the published one, so
that the microsecond to which requests.csv is rounded is nothing beside its times.
"""
from __future__ import annotations

import copy
import pathlib
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from cases import Case, run
from draw import MODEL, PLATFORM, SUPERNODES, Drawn, drop_idle
from judge import SHAPE_ERRORS, judge_case, judgements
from view import Reading

SLOW = {"/platform/die/hbm_bandwidth": "1.6GB/s", "/platform/die/int8_peak": "0.752TOPS",
        "/platform/die/bf16_peak": "0.376TFLOPS", "/platform/rdma/bandwidth_per_die": "0.025GB/s",
        "/platform/ub/link_bandwidth": "0.028GB/s", "/platform/ub/cpu_bandwidth": "0.16GB/s"}
SYNTHESIZE = ("--requests 20 --rate 0.002 --prompt-mean 4000 --prompt-cv 0.3 --output-mean 20"
              " --output-cv 0.5 --shared-probability 0.7 --shared-prompts 2 --shared-blocks 4"
              " --block-size 128").split()


def mixed(budget: int, **more: Any) -> Drawn:
    """Of prompts that a step computes as a whole, or in chunks."""
    drawn = scenario("all", **more)
    drawn.synthesize = ["--requests", "30", *SYNTHESIZE[2:]]
    deployment = drawn.scenario["deployment"]
    deployment["mixed"] = deployment.pop("decode") | {"max_num_batched_tokens": budget}
    for key in ("prefill", "kv"):
        deployment.pop(key, None)
    return drawn


def mixed_on_supernodes() -> Drawn:
    drawn = mixed(32768, platform=str(SUPERNODES), policies={"supernode_routing": "round_robin"})
    drawn.scenario["deployment"]["supernodes"] = 2
    drawn.machine["/platform/supernodes"] = 2
    return drawn


def scenario(role: str, population: str = "empty", **more: Any) -> Drawn:
    deployment = {
        "prefill": {"instances": 1, "npus_per_instance": 16, "ep": 32, "max_num_batched_tokens": 16384},
        "decode": {"instances": 1, "npus_per_instance": 16, "ep": 32, "max_num_seqs": 4},
        "cache": {"enabled": True, "block_size": 128, "dram_per_node": "1TB", "plane": "ub"}}
    config = {"platform": str(PLATFORM), "model": str(MODEL), "seed": 7, "network": "analytic",
              "deployment": deployment, "decode": {"mtp": {"draft_tokens": 0}},
              "precision": {"kv_cache": "bf16"}, "slo": {"ttft": "300s", "tpot": "40s"},
              "workload": {"role": role, "trace": "trace.jsonl", "block_size": 128,
                           "population": population, "arrivals": {"kind": "trace"}}} | more
    drop_idle(config)
    return Drawn(config, dict(SLOW), SYNTHESIZE)


def spoilt(value: Any) -> Any:
    if value is None:
        return 1.5
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "?"
    return value + 1 if isinstance(value, int) or value == 0 else value * 1.001


def with_spoilt(result: dict[str, Any], field: str) -> dict[str, Any]:
    changed = copy.deepcopy(result)
    *way, last = field.split(".")
    holder: Any = changed
    for key in way:
        holder = holder[int(key) if isinstance(holder, list) else key]
    key = int(last) if isinstance(holder, list) else last
    holder[key] = spoilt(holder[key])
    return changed


def notices(reading: Reading, case: Case, result: dict[str, Any]) -> bool:
    try:
        return any(ledger.failures for ledger in judgements(reading, case, result))
    except SHAPE_ERRORS:
        return True


def missed(case: Case) -> Iterator[str]:
    """Recomputed fields whose change the judge lets pass; of a list's elements the first is tried."""
    honest, reading = judge_case(case)
    if honest.failures:
        yield f"the honest result fails: {honest.failures[0]}"
        return
    fields = {re.sub(r"^(ttfts|input_lens|output_lens)\.\d+", r"\1.0", field)
              for field in honest.recomputed}
    for field in sorted(fields):
        if not notices(reading, case, with_spoilt(case.result, field)):
            yield field
    if not notices(reading, case, case.result | {"new_figure": 1.5}):
        yield "a field that nobody judges"
    print(f"{name_of(case.drawn)}: {len(fields)} fields spoilt")


def name_of(drawn: Drawn) -> str:
    said = drawn.scenario
    kinds = [kind for kind in ("mixed", "supernodes") if kind in said["deployment"]]
    return " ".join(["role", said["workload"]["role"], *kinds])


def main() -> int:
    failures = 0
    moving = {"experts": {"drift": {"time": "1000s"}},
              "policies": {"expert_placement": {"name": "periodic", "interval": 3}}}
    for drawn in (scenario("all"), scenario("prefill"), scenario("decode", **moving),
                  scenario("all", "stationary", window={"warmup": "4000s"}),
                  mixed(2048), mixed_on_supernodes()):
        with tempfile.TemporaryDirectory() as scratch:
            for field in missed(run(sys.argv[1], drawn, pathlib.Path(scratch))):
                print(f"{name_of(drawn)}: not noticed: {field}")
                failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
