"""Draws a scenario from a seed: it runs in a fraction of a second and is odd enough to matter.

The same seed gives the same scenario on every machine. A trace that the scenario needs is made by
`cmsim trace synthesize` with the arguments in `Drawn.synthesize`, so that it needs no file here.
"""
from __future__ import annotations

import dataclasses
import math
import pathlib
import random
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLATFORM = ROOT / "platforms/cloudmatrix384.json"
SUPERNODES = ROOT / "platforms/cloudmatrix384-supernodes.json"
MODEL = ROOT / "workloads/models/deepseek-r1.json"
TRACE = ROOT / "workloads/traces/r1-like.jsonl.gz"

Config = dict[str, Any]


@dataclasses.dataclass
class Drawn:
    scenario: Config  # without the machine's changes
    machine: dict[str, Any]  # JSON pointer into the scenario -> value, for --set
    synthesize: list[str] | None = None  # arguments of `cmsim trace synthesize`, without --out
    kv_tokens_per_die: int | None = None  # reserve so much HBM that only about this is left

    @property
    def decodes_on(self) -> str:
        """Below /deployment: the instances that decode."""
        return "mixed" if "mixed" in self.scenario["deployment"] else "decode"


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    return low * (high / low) ** rng.random()


def draw_machine(rng: random.Random, npus: int) -> dict[str, Any]:
    """Changes to the published machine, each of a few with even odds."""
    fewest = -(-npus // 8)
    scale = lambda unit, base: f"{base * log_uniform(rng, 0.3, 3):.4g}{unit}"
    changes = {
        "/platform/nodes": rng.randint(fewest, 48),
        "/platform/die/hbm_bandwidth": scale("TB/s", 1.6),
        "/platform/die/int8_peak": scale("TOPS", 752),
        "/platform/die/bf16_peak": scale("TFLOPS", 376),
        "/platform/die/aic_cores": rng.choice([16, 24, 32]),
        "/platform/ub/sub_planes": rng.randint(2, 9),
        "/platform/ub/link_bandwidth": scale("GB/s", 28),
        "/platform/ub/cpu_bandwidth": scale("GB/s", 160),
        "/platform/ub/l2_chips_per_plane": rng.choice([4, 8, 16]),
        "/platform/ub/spread": rng.choice(["adaptive", "stripe", "hash"]),
        "/platform/rdma/bandwidth_per_die": scale("GB/s", 25),
        "/platform/rdma/latency": scale("us", 5),
        "/platform/vpc/bandwidth_per_node": scale("GB/s", 50),
        "/platform/operators/operator_overhead": scale("us", 4),
    }
    return {pointer: value for pointer, value in changes.items() if rng.random() < 0.25}


def draw_deployment(rng: random.Random, experts: str, tight: bool) -> Config:
    """BF16 experts need twice the dies; with little HBM prefill fits on more dies than decode."""
    wide = experts == "bf16"
    prefill = rng.choice([32, 48] if wide else [16, 24, 32])
    decode = rng.choice([48, 64, 160] if wide else [16, 24, 32, 64, 160])
    if tight:
        decode = 48 if wide else rng.choice([16, 24])
        prefill = 2 * decode
    instances = rng.randint(1, 2 if decode < 160 else 1), rng.randint(1, 3)
    return {
        "prefill": {"instances": instances[1], "npus_per_instance": prefill, "ep": 2 * prefill,
                    "max_num_batched_tokens": rng.choice([32, 64, 128, 512] if tight else
                                                         [32, 64, 128, 512, 2048, 16384])},
        "decode": {"instances": instances[0], "npus_per_instance": decode, "ep": 2 * decode,
                   "max_num_seqs": rng.choice([8, 16, 32] if tight else [1, 2, 3, 8, 32, 96])},
        "cache": {"enabled": rng.random() < 0.7, "block_size": rng.choice([128, 256, 512, 1024]),
                  "dram_per_node": rng.choice(["0B", "50MB", "1GB", "100GB", "1TB"]),
                  "plane": rng.choice(["ub", "ub", "vpc"])},
        "kv": {"plane": rng.choice(["rdma", "ub"])},
    }


def draw_synthesis(rng: random.Random) -> list[str]:
    arguments = {
        "requests": rng.randint(20, 200), "arrivals": rng.choice(["poisson", "gamma", "constant"]),
        "rate": f"{log_uniform(rng, 1, 300):.4g}", "prompt-mean": int(log_uniform(rng, 20, 6000)),
        "prompt-cv": rng.choice([0, 0.5, 2]), "output-mean": int(log_uniform(rng, 4, 300)),
        "output-cv": rng.choice([0, 0.5, 1.5]), "output-max": 2000,
        "continue-probability": rng.choice([0, 0.5, 0.8]), "think-time": "2s",
        "shared-probability": rng.choice([0, 0.5, 1]), "shared-prompts": rng.randint(1, 5),
        "shared-blocks": rng.randint(1, 6), "block-size": 128, "seed": rng.randint(1, 10**6),
    }
    if arguments["arrivals"] == "gamma":
        arguments["burstiness"] = rng.choice([0.1, 0.5, 4])
    idle = {"continue-probability": ["think-time"], "output-cv": ["output-max"],
            "shared-probability": ["shared-prompts", "shared-blocks"]}
    for switch in idle:
        if arguments[switch] == 0:
            for key in idle[switch]:
                del arguments[key]
    return [word for key, value in arguments.items() for word in (f"--{key}", str(value))]


def draw_arrivals(rng: random.Random, kinds: list[str]) -> Config:
    kind = rng.choice(kinds)
    arrivals: Config = {"kind": kind}
    if kind in ("poisson", "gamma", "constant"):
        arrivals["rate"] = float(f"{log_uniform(rng, 2, 500):.3g}")
    if kind == "gamma":
        arrivals["burstiness"] = rng.choice([0.2, 1, 5])
    if kind == "closed_loop":
        arrivals["concurrency"] = rng.randint(1, 200)
    return arrivals


def draw_workload(rng: random.Random) -> tuple[Config, list[str] | None]:
    """The workload and, when it replays a drawn trace, how to make that."""
    role = rng.choice(["all", "all", "all", "prefill", "decode"])
    kind = rng.choice(["fixed", "fixed", "synthesized", "synthesized", "slice"])
    spread = ["poisson", "gamma", "constant", "all_at_once", "closed_loop"]
    if kind == "fixed":
        return {"role": role, "requests": rng.randint(1, 250),
                "arrivals": draw_arrivals(rng, spread),
                "prompt_length": int(log_uniform(rng, 1, 9000)),
                "output_length": int(log_uniform(rng, 1, 200))}, None
    workload: Config = {"role": role, "arrivals": draw_arrivals(rng, ["trace"] * 4 + spread)}
    if workload["arrivals"]["kind"] == "trace":
        workload |= {"time_scale": rng.choice([1, 1, 0.5, 4]), "spread_timestamps": rng.random() < 0.5}
    if kind == "synthesized":
        return workload | {"trace": "trace.jsonl", "block_size": 128}, draw_synthesis(rng)
    return workload | {"trace": str(TRACE), "start": f"{rng.randint(0, 200)}s",
                       "max_requests": rng.randint(10, 60)}, None


def has_stream(workload: Config) -> bool:
    """Whether requests certainly come at different times; those of a slice may share a time stamp."""
    kind, trace = workload["arrivals"]["kind"], workload.get("trace")
    if kind in ("all_at_once", "closed_loop") or (kind == "trace" and trace == str(TRACE)):
        return False
    return workload.get("requests", 2) > 1


def draw_start(rng: random.Random, workload: Config) -> str | None:
    """None: as the program takes it."""
    loop = workload["arrivals"]["kind"] == "closed_loop" and workload["role"] == "decode"
    if rng.random() < 0.5 or not (loop or (workload["role"] != "prefill" and has_stream(workload))):
        return None
    return rng.choice(["stationary", "empty"] if loop else ["stationary"] * 3 + ["empty"])


def draw_resample(rng: random.Random, workload: Config) -> Config:
    """Of a trace made here, about as long as its requests are many, so that none is left empty."""
    if workload["arrivals"]["kind"] != "trace" or workload["trace"] == str(TRACE) or rng.random() < 0.6:
        return {}
    return {"resample": {"method": "block_bootstrap", "block": f"{log_uniform(rng, 0.02, 20):.3g}s"}}


def draw_kv(rng: random.Random, workload: Config) -> int:
    """Tokens a die: some requests of a fixed length, so that growing ones are preempted."""
    if "trace" in workload:
        return int(log_uniform(rng, 300, 20000))
    return int((workload["prompt_length"] + workload["output_length"]) * log_uniform(rng, 0.8, 4))


def drop_idle(scenario: Config) -> None:
    """cmsim refuses keys without effect (docs/scenarios.md)."""
    deployment, workload, slo = scenario["deployment"], scenario["workload"], scenario["slo"]
    for role, other in (("decode", "prefill"), ("prefill", "decode")):
        if workload["role"] == role:
            deployment.pop(other)
            scenario.pop(other, None)
            policies = scenario.get("policies", {})
            for slot in [slot for slot in policies if slot.startswith(other)]:
                del policies[slot]
            if role == "prefill":
                policies.pop("preemption", None)
    if workload["role"] == "prefill" and isinstance(slo, dict):
        del slo["tpot"]
    if workload["role"] != "all":
        deployment.pop("kv", None)
    cache = deployment["cache"]
    looked_up = "trace" in workload or "reuse" in cache
    used = cache["enabled"] and workload["role"] != "decode" and looked_up
    if not used:
        deployment["cache"] = {"enabled": cache["enabled"]}
    if not used or "reuse" in cache:
        for slot in ("cache_eviction", "cache_placement", "cache_prefetch"):
            scenario.get("policies", {}).pop(slot, None)
    elif "trace" in workload:
        draw_ssd(random.Random(f"judge ssd {scenario['seed']}"), scenario)
    if workload["role"] != "prefill":
        draw_swap(random.Random(f"judge swap {scenario['seed']}"), scenario)
        if (rng := random.Random(f"judge plan {scenario['seed']}")).random() < 0.3:
            scenario.setdefault("policies", {})["pipeline_plan"] = rng.choice(
                ["by_batch", {"name": "by_batch", "least": 2}, "fastest", {"name": "fastest", "interval": 5}])
    if "decode" in scenario and scenario["decode"]["mtp"]["draft_tokens"] == 0:
        scenario["decode"]["mtp"].pop("acceptance", None)
    if scenario.get("experts", {}).get("placement") == "balanced":
        del scenario["experts"]["skew"]


def draw_swap(rng: random.Random, scenario: Config) -> None:
    """Sometimes DRAM for the KV of preempted requests, too little of it now and then."""
    if rng.random() < 0.6:
        return
    scenario["deployment"]["swap"] = {"dram_per_node": rng.choice(["4MB", "100MB", "10GB"]), "plane": rng.choice(["ub", "ub", "vpc"])}
    if rng.random() < 0.5:
        scenario.setdefault("policies", {})["preempted_kv"] = rng.choice(
            ["recompute", {"name": "swap", "least_tokens": 500}])


def draw_ssd(rng: random.Random, scenario: Config) -> None:
    """Sometimes SSDs behind the cache, and policies that use them."""
    policies = scenario.setdefault("policies", {})
    if rng.random() < 0.5:
        policies["cache_placement"] = rng.choice(["dram_first", "second_use"])
    if rng.random() < 0.4:
        return
    cache = scenario["deployment"]["cache"]
    cache["ssd"] = {"capacity_per_node": rng.choice(["50MB", "1GB", "100GB"]), "plane": rng.choice(["vpc", "vpc", "ub"]),
                    "read_bandwidth": rng.choice(["1GB/s", "7GB/s"])}
    cache["dram_per_node"] = rng.choice(["0B", "20MB", "50MB", "1GB"])
    if scenario["workload"]["role"] in ("all", "prefill"):
        policies["cache_prefetch"] = rng.choice(["none", "on_arrival", {"name": "on_arrival", "least_tokens": 2000}])


def draw_policies(rng: random.Random) -> Config:
    return {"prefill_routing": rng.choice(["least_tokens", "round_robin", "peer_to_peer", "power_of_two",
                                           "session_affinity", "kv_centric"]),
            "prefill_admission": rng.choice(["all"] * 3 + [{"name": "ttft", "ttft": "500ms"}]),
            "prefill_batching": rng.choice(["fcfs", "shortest_first", {"name": "priority", "ageing": "1s"}]),
            "cache_eviction": rng.choice(["lru", "lfu", "cost_aware"]),
            "decode_admission": rng.choice(["kv_headroom", {"name": "fixed", "batch": 2}, "slo", "priority",
                                            {"name": "shortest_output", "estimate_error": 1}]),
            "preemption": rng.choice(["newest", "priority", "least_recompute"]),
            "decode_routing": rng.choice(["least_sequences", "round_robin", "least_kv",
                                          "longest_context_aware", "connection_map"])}


def draw_classes(rng: random.Random, role: str) -> Config:
    share = round(rng.random(), 2)
    slo = {"ttft": f"{log_uniform(rng, 50, 2000):.3g}ms", "tpot": f"{log_uniform(rng, 5, 60):.3g}ms"}
    if role == "prefill":
        del slo["tpot"]
    return {"chat": {"share": share, "priority": 2, "slo": slo},
            "batch": {"share": round(1 - share, 2)}}


def make_mixed(rng: random.Random, scenario: Config) -> None:
    """The decode instances compute prompts too, a few tokens a step or so many that none is cut up."""
    deployment = scenario["deployment"]
    mixed = deployment.pop("decode")
    tp = rng.choice([1, 1, 1, 2, 4, 8])
    if tp > 1:
        mixed["attention"] = {"tp": tp}
        if rng.random() < 0.3:
            mixed["attention"]["context_parallel"] = True
    ranks = mixed["ep"] // tp
    slots = -(-mixed["max_num_seqs"] * mixed["npus_per_instance"] // ranks)
    drafts = scenario["decode"]["mtp"]["draft_tokens"]
    of_npu = ranks / mixed["npus_per_instance"]
    fewest = math.ceil((slots * (1 + drafts) + 1) * of_npu)
    most = int(700_000 / mixed["ep"] * of_npu)  # that leaves HBM for KV
    budget = rng.choice([1, 128, 512, 2048, 2048, 8192, 32768])
    mixed["max_num_batched_tokens"] = max(min(budget, most), fewest)
    deployment["mixed"] = mixed
    for key in ("prefill", "kv"):
        deployment.pop(key, None)
    scenario.pop("prefill", None)
    for slot in ("prefill_routing", "prefill_admission", "cache_prefetch"):
        scenario["policies"].pop(slot, None)


def draw_kind(seed: int, drawn: Drawn) -> Drawn:
    """Of all seeds some serve on mixed instances, some on two supernodes, and a few on both."""
    rng, scenario = random.Random(f"judge kind {seed}"), drawn.scenario
    if rng.random() < 0.2 and scenario["workload"]["role"] != "prefill":
        make_mixed(rng, scenario)
    if rng.random() < 0.10:
        scenario["platform"] = str(SUPERNODES)
        scenario["deployment"]["supernodes"] = 2
        scenario["policies"]["supernode_routing"] = rng.choice(
            ["least_waiting", "round_robin", "round_robin", "power_of_two", "session_affinity",
             "prefix_aware"])
        drawn.machine["/platform/supernodes"] = 2
    return drawn


def add_drift(rng: random.Random, scenario: Config) -> None:
    """Of the experts of decode, where it has an effect."""
    experts = scenario["experts"]
    if scenario["workload"]["role"] == "prefill" or rng.random() < 0.1:
        return
    if experts["placement"] != "eplb" or not experts.get("skew"):
        return
    experts["drift"] = {"time": f"{log_uniform(rng, 0.05, 50):.3g}s"}
    if rng.random() < 0.3:
        experts["drift"]["age"] = f"{log_uniform(rng, 0.05, 50):.3g}s"
    if rng.random() < 0.7:
        experts["moves"] = {"layers_per_step": rng.choice([1, 7, 1000])}
    scenario["policies"]["expert_placement"] = rng.choice(
        ["static", "oracle", {"name": "periodic", "interval": rng.choice([1, 5, 40])},
         {"name": "threshold", "imbalance": 1.05, "quiet": "100ms"},
         {"name": "payback", "interval": 3, "within": rng.choice([10, 1000])}])


def draw_lengths(rng: random.Random, low: float, high: float) -> Config:
    return {"mean": round(log_uniform(rng, low, high), 1), "cv": rng.choice([0, 0.5, 1]), "maximum": int(20 * high)}


def add_sessions(seed: int, drawn: Drawn) -> Drawn:
    """Of some scenarios: turns that wait, of the trace there is or drawn in place of fixed lengths."""
    rng, workload = random.Random(f"judge sessions {seed}"), drawn.scenario["workload"]
    if rng.random() < 0.7 or workload["arrivals"]["kind"] == "closed_loop":
        return drawn
    sessions: Config = {"wait": rng.random() < 0.8}
    if "trace" not in workload:
        sessions |= {"turns": draw_lengths(rng, 1.5, 8), "output": draw_lengths(rng, 2, 100),
                     "prompt": draw_lengths(rng, 10, 2000), "shared_prompt": rng.choice([0, 0, 500]),
                     "think_time": {"mean": f"{log_uniform(rng, 0.05, 5):.3g}s", "cv": rng.choice([0, 1])}}
        workload["block_size"] = 128
        for key in ("prompt_length", "output_length"):
            del workload[key]
        if drawn.scenario["deployment"]["cache"] == {"enabled": True} and workload["role"] != "decode":
            drawn.scenario["deployment"]["cache"] |= {"block_size": 256, "dram_per_node": rng.choice(["50MB", "1TB"])}
    if sessions["wait"] or "turns" in sessions:
        sessions["answer_time_per_token"] = rng.choice(["0s", "20ms"])
    workload["sessions"] = sessions
    return drawn


def draw(seed: int) -> Drawn:
    return add_sessions(seed, draw_kind(seed, draw_apart(seed)))


def draw_apart(seed: int) -> Drawn:
    """On one supernode, prefill and decode on instances of their own."""
    rng = random.Random(f"judge {seed}")
    experts = rng.choice(["int8"] * 4 + ["bf16"])
    tight = rng.random() < 0.35
    deployment = draw_deployment(rng, experts, tight)
    roles = [deployment["prefill"], deployment["decode"]]
    workload, synthesize = draw_workload(rng)
    workload |= draw_resample(rng, workload)
    if rng.random() < 0.4:
        workload["classes"] = draw_classes(rng, workload["role"])
    start = draw_start(rng, workload)
    if workload.get("trace") == str(TRACE):
        deployment["cache"]["block_size"] = rng.choice([512, 1024])
    if workload["role"] != "decode" and rng.random() < 0.15:
        deployment["cache"]["reuse"] = round(rng.random(), 2)
    scenario: Config = {
        "platform": str(PLATFORM), "model": str(MODEL), "seed": rng.randint(0, 10**6),
        "network": rng.choice(["analytic"] * 9 + ["hose"]), "deployment": deployment,
        "prefill": {"microbatches": rng.choice(["auto", "auto", 1, 2, 4]),
                    "sequence_packing": rng.random() < 0.8},
        "decode": {"microbatches": rng.choice(["auto", "auto", 1, 2, 3]),
                   "launch": rng.choice(["in_npu", "in_npu", "cpu"]),
                   "exchange": rng.choice(["fused", "fused", "basic", "two_level"]),
                   "mtp": {"draft_tokens": rng.choice([0, 1, 1, 2, 4]),
                           "acceptance": rng.choice([0, 0.3, 0.7, 1])}},
        "experts": {"placement": rng.choice(["eplb", "contiguous", "balanced"]),
                    "skew": rng.choice([0, 1, 1.5])},
        "precision": {"experts": experts, "kv_cache": rng.choice(["bf16", "bf16", "int8"]),
                      "dispatch": rng.choice(["int8", "bf16"])},
        "policies": draw_policies(rng),
        "workload": workload,
        "slo": rng.choice(["cm384-50ms", "cm384-30ms", "cm384-15ms", "mlperf-interactive", "mlperf-server",
                           {"ttft": f"{log_uniform(rng, 50, 2000):.3g}ms",
                            "tpot": f"{log_uniform(rng, 5, 60):.3g}ms"}, {"tpot": "25ms"}]),
    }
    if start is not None:
        workload["population"] = start
    narrow = min(deployment["decode"]["npus_per_instance"], 48 if experts == "bf16" else 24)
    if start == "stationary":  # the first population fills as many slots as it likes
        deployment["decode"] |= {"max_num_seqs": rng.choice([2, 4]), "npus_per_instance": narrow,
                                 "ep": 2 * narrow}
    if rng.random() < 0.2:
        scenario["window"] = {"warmup": f"{log_uniform(rng, 0.005, 20):.3g}s"}
    if rng.random() < 0.12:
        scenario["horizon"] = f"{log_uniform(rng, 0.05, 5):.3g}s"
    npus = sum(role["instances"] * role["npus_per_instance"] for role in roles)
    machine = draw_machine(rng, npus)
    drop_idle(scenario)
    add_drift(random.Random(f"judge drift {seed}"), scenario)
    return Drawn(scenario, machine, synthesize, draw_kv(rng, workload) if tight else None)
