"""Better hardware is not slower: one quantity of the machine improves, everything else stays.

A *step* alone (`cmsim step`) is never slower, except where two or more microbatches may run: they share
units and HBM by which tasks happen to meet, and docs/output.md bounds what that may cost. A *run* is a
schedule: with faster parts other requests share a batch, and the last may end later (Graham's
anomalies). So a run is held to bands, and a longer duration within them is counted.
"""
from __future__ import annotations

import copy
import dataclasses
import json
import math
import pathlib
import random
import tempfile
from typing import Any

from cases import Refused, execute, facts_of, parameter, prepare, run
from draw import Drawn, draw, log_uniform

# Pointer below /platform -> unit of the value given to --set. "" is a share (at most 1), "#" a count.
WRITE = "/ub/paths/npu_npu_write/inter_node_"
STEP_UP = {
    "/die/hbm_bandwidth": "B/s", "/die/int8_peak": "OPS", "/die/bf16_peak": "FLOPS",
    "/ub/link_bandwidth": "B/s", "/ub/sub_planes": "#", "/ub/l2_chips_per_plane": "#",
    "/operators/hbm_efficiency": "", "/operators/attention_efficiency": "", WRITE + "efficiency": "",
    "/operators/gemm_int8_efficiency": "", "/operators/gemm_bf16_efficiency": ""}
STEP_DOWN = {
    "/operators/operator_overhead": "s", "/token_exchange/startup": "s", WRITE + "latency": "s",
    "/token_exchange/message_interval": "s", "/token_exchange/sdma_startup": "s"}
RUN_UP = STEP_UP | {
    "/die/die_to_die_bandwidth": "B/s", "/ub/cpu_bandwidth": "B/s", "/rdma/efficiency": "",
    "/rdma/bandwidth_per_die": "B/s", "/vpc/bandwidth_per_node": "B/s"}
RUN_DOWN = STEP_DOWN | {
    "/rdma/latency": "s", "/vpc/latency": "s", "/ub/paths/npu_cpu_read/inter_node_latency": "s"}

ONE_STREAM = 1e-9  # relative
SHARED_UNITS = 0.025  # docs/output.md
MEANS_BAND = 0.10  # of a run: mean latency, mean step, mean batch; of the windows when both are steady
THROUGHPUT_BAND = 0.30  # of a run: its duration hangs on the last request


@dataclasses.dataclass
class Verdict:
    failures: list[str]
    longer: str = ""  # a run whose duration rose


def improve(rng: random.Random, drawn: Drawn, up: dict[str, str],
            down: dict[str, str]) -> tuple[str, Drawn]:
    """What got better, and the scenario with it."""
    key = rng.choice([*up, *down])
    pointer = "/platform" + key
    before, factor, unit = parameter(drawn, pointer), log_uniform(rng, 1.02, 4), (up | down)[key]
    after: Any = f"{before * factor if key in up else before / factor:.12g}{unit}"
    if unit == "#":
        after = int(before) + rng.randint(1, 4)
    elif unit == "":
        after = min(1.0, before * factor)
    better = dataclasses.replace(drawn, machine=drawn.machine | {pointer: after})
    return f"{key} {before:g} -> {after}", better


def roles_of(drawn: Drawn) -> list[str]:
    return [role for role in ("prefill", "decode", "mixed") if role in drawn.scenario["deployment"]]


def add_instance(rng: random.Random, drawn: Drawn) -> tuple[str, Drawn]:
    role = rng.choice(roles_of(drawn))
    scenario = copy.deepcopy(drawn.scenario)
    scenario["deployment"][role]["instances"] += 1
    drawn.machine.pop("/platform/nodes", None)  # both on all nodes
    return f"one more {role} instance", dataclasses.replace(drawn, scenario=scenario)


def step_duration(cmsim: str, drawn: Drawn, where: pathlib.Path, arguments: list[str]) -> float:
    done = execute([cmsim, "step", *prepare(cmsim, drawn, where)[2:], *arguments, "--json"])
    if done.returncode:
        raise Refused(done.stderr.strip()[:300])
    return json.loads(done.stdout)["duration_us"]


def prompts_beside(rng: random.Random, drawn: Drawn, batch: int) -> list[str]:
    """What the sequences of a mixed step leave of its budget, or a part of it."""
    spec = facts_of(drawn).decode
    ranks_per_npu = spec["ranks"] / spec["npus_per_instance"]
    of_rank = int(spec["max_num_batched_tokens"] / ranks_per_npu)
    left = of_rank - math.ceil(batch / ranks_per_npu) * (1 + spec["draft_tokens"])
    tokens = rng.randint(1, left)
    of_npu = int(tokens * ranks_per_npu)
    return ["--prompt-tokens", str(of_npu)] if of_npu else []


def judge_step(cmsim: str, rng: random.Random, drawn: Drawn, where: pathlib.Path) -> Verdict:
    drawn.scenario["workload"].pop("population", None)  # a step has none
    what, better = improve(rng, drawn, STEP_UP, STEP_DOWN)
    key = rng.choice(roles_of(drawn))
    phase = "decode" if key == "mixed" else key
    role = drawn.scenario["deployment"][key]
    most = role["max_num_seqs" if phase == "decode" else "max_num_batched_tokens"]
    batch = rng.randint(1, most)
    # Each die of a group keeps the KV of all its sequences.
    longest = 16000 / role.get("attention", {}).get("tp", 1)
    arguments = ["--phase", phase, "--batch", str(batch),
                 "--context", str(int(log_uniform(rng, 16, longest)))]
    if key == "mixed":
        arguments += prompts_beside(rng, drawn, batch)
    before, after = (step_duration(cmsim, case, where, arguments) for case in (drawn, better))
    microbatches = drawn.scenario[phase]["microbatches"]
    allowed = ONE_STREAM if microbatches == 1 else SHARED_UNITS
    if after <= before * (1 + allowed):
        return Verdict([])
    return Verdict([f"{what}: {' '.join(arguments)}, microbatches {microbatches}: "
                    f"{before:.6f} -> {after:.6f} us"])


def judge_run(cmsim: str, rng: random.Random, drawn: Drawn, where: pathlib.Path) -> Verdict:
    roles = [drawn.scenario["deployment"][role] for role in roles_of(drawn)]
    npus = sum(role["instances"] * role["npus_per_instance"] for role in roles)
    room = npus + max(role["npus_per_instance"] for role in roles) <= 384
    what, better = (add_instance(rng, drawn) if room and rng.random() < 0.2 else
                    improve(rng, drawn, RUN_UP, RUN_DOWN))
    before, after = (run(cmsim, case, where).result for case in (drawn, better))
    steady = all(result["window"]["steady"] for result in (before, after))
    part = "window" if steady else "whole_run"
    old, new = before[part], after[part]
    means = [(field, old[field], new[field]) for field in ("e2el_ms", "decode_iteration_ms")]
    means.append(("prefill.iteration_ms", *((figures["prefill"] or {}).get("iteration_ms")
                                           for figures in (old, new))))
    failures = []
    for field, *values in means:
        was, now = (value["mean"] if isinstance(value, dict) else value for value in values)
        if was and now and now > was * (1 + MEANS_BAND):
            failures.append(f"{what}: {part}.{field}: mean {was} -> {now}")
    was, now = before["total_token_throughput"], after["total_token_throughput"]
    if now < was * (1 - THROUGHPUT_BAND):
        failures.append(f"{what}: total_token_throughput: {was} -> {now}")
    rise = after["duration"] / before["duration"] - 1 if before["duration"] else 0
    return Verdict(failures, f"{what}: duration +{rise:.2%}" if rise > 1e-4 else "")


def judge_pair(cmsim: str, seed: int) -> Verdict:
    """One pair of machines; two of three compare a step, the third a run."""
    rng = random.Random(f"monotone {seed}")
    drawn = draw(seed)
    drawn.scenario.pop("horizon", None)
    drawn.kv_tokens_per_die = None
    judge = judge_run if seed % 3 == 0 else judge_step
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return judge(cmsim, rng, drawn, pathlib.Path(scratch))
        except Refused as refusal:
            return Verdict([str(refusal)])
