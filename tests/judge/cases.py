"""Runs a drawn scenario, and what it says as numbers."""
from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import re
import subprocess
from typing import Any

from draw import MODEL, PLATFORM, SUPERNODES, Drawn
from formulas import Row, read_rows
from view import Facts

# Of a role that is not run the keys are dropped, and its figures are not looked at.
DEFAULT_PREFILL = {"instances": 6, "npus_per_instance": 16, "ep": 32, "max_num_batched_tokens": 16384}
DEFAULT_DECODE = {"instances": 1, "npus_per_instance": 160, "ep": 320, "max_num_seqs": 96}
DEFAULT_CACHE = {"block_size": 512, "dram_per_node": 0, "plane": "ub"}
DEFAULT_LIMITS = {"ttft": "2s", "tpot": "50ms"}
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "B/s": 1, "GB/s": 1e9, "TB/s": 1e12,
         "Gbps": 1e9 / 8, "TOPS": 1e12, "TFLOPS": 1e12, "us": 1e-6, "ms": 1e-3, "s": 1}
SLO_SETS = {"cm384-50ms": (math.inf, 0.050), "cm384-30ms": (math.inf, 0.030),
            "cm384-15ms": (math.inf, 0.015), "mlperf-server": (2.0, 0.080),
            "mlperf-interactive": (1.5, 0.015)}


def quantity(text: Any) -> float:
    if isinstance(text, (int, float)):
        return text
    number, unit = re.fullmatch(r"([-+.0-9]+(?:e[-+]?[0-9]+)?)([A-Za-z/]*)", text).groups()
    return float(number) * UNITS[unit] if unit else float(number)


def load_commented(path: pathlib.Path) -> Any:
    return json.loads(re.sub(r"(?m)^\s*//.*$", "", path.read_text()))


def load_platform(path: pathlib.Path) -> Any:
    """With its device, which says what the platform does not."""
    platform = load_commented(path)
    device = load_commented(path.parent / platform.pop("device"))
    return device | platform


PLATFORMS = {str(path): load_platform(path) for path in (PLATFORM, SUPERNODES)}
PUBLISHED_MODEL = load_commented(MODEL)


def parameter(drawn: Drawn, pointer: str) -> float:
    value: Any = {"platform": PLATFORMS[drawn.scenario["platform"]], "model": PUBLISHED_MODEL}
    for key in pointer.strip("/").split("/"):
        value = value[key]
    return quantity(drawn.machine.get(pointer, value["value"]))


def class_limits(said: Any, otherwise: tuple[float, float]) -> tuple[float, float]:
    """What a class does not say is as for all."""
    slo = said.get("slo", {})
    ttft, tpot = (quantity(slo[key]) if key in slo else limit
                  for key, limit in zip(("ttft", "tpot"), otherwise))
    return ttft, tpot


def policy_of(scenario: Any, slot: str, otherwise: str) -> str:
    policy = scenario.get("policies", {}).get(slot, otherwise)
    return policy if isinstance(policy, str) else policy["name"]


def drift_of(scenario: Any) -> dict[str, Any] | None:
    drift = scenario.get("experts", {}).get("drift")
    if drift is None:
        return None
    return {"age": quantity(drift.get("age", 0)), "policy": policy_of(scenario, "expert_placement", "static")}


def facts_of(drawn: Drawn) -> Facts:
    scenario, slo = drawn.scenario, drawn.scenario["slo"]
    deployment, workload = scenario["deployment"], scenario["workload"]
    classes = workload.get("classes", {"all": {}})
    machine = lambda pointer: parameter(drawn, "/platform" + pointer)
    model = lambda key: int(parameter(drawn, "/model/" + key))
    limits = SLO_SETS[slo] if isinstance(slo, str) else (
        tuple(quantity((DEFAULT_LIMITS | slo)[key]) for key in ("ttft", "tpot")))
    if workload["role"] == "prefill":
        limits = limits[0], math.inf
    platform = PLATFORMS[scenario["platform"]]
    spread = drawn.machine.get("/platform/ub/spread", platform["ub"]["spread"]["value"])
    # A machine of one supernode does not say so; all that is given is of each.
    built = int(machine("/supernodes")) if "supernodes" in platform else 1
    supernodes = deployment.get("supernodes", 1)
    on_all = lambda role: role | {"instances": role["instances"] * supernodes}
    instances = deployment.get(drawn.decodes_on, DEFAULT_DECODE)
    attention = instances.get("attention", {})
    planes = 1 if spread == "adaptive" else int(machine("/ub/sub_planes"))
    cache = DEFAULT_CACHE | deployment["cache"]
    decode = scenario.get("decode", {})
    closed_loop = workload["arrivals"]["kind"] == "closed_loop"
    loop_of_decode = closed_loop and workload["role"] == "decode"
    population = workload.get("population", "stationary" if loop_of_decode else "empty")
    warmup = scenario.get("window", {}).get("warmup")
    microbatches = decode.get("microbatches", "auto")
    write = "/ub/paths/npu_npu_write/"
    return Facts(
        role=workload["role"], seed=scenario["seed"], network=scenario["network"],
        stationary=population == "stationary", closed_loop=closed_loop,
        waits=workload.get("sessions", {"wait": False}).get("wait", True),
        drawn_sessions="turns" in workload.get("sessions", {}),
        warmup=None if warmup is None else quantity(warmup),
        ttft_limit=limits[0],
        tpot_limit=limits[1], slo_name=slo if isinstance(slo, str) else "custom",
        classes={name: class_limits(said, limits) for name, said in classes.items()},
        mixed="mixed" in deployment and workload["role"] == "all", supernodes=supernodes,
        prefill=on_all(deployment.get("prefill", DEFAULT_PREFILL)),
        decode=on_all(instances) | {
            "draft_tokens": decode.get("mtp", {"draft_tokens": 1})["draft_tokens"],
            "tp": attention.get("tp", 1), "ranks": instances["ep"] // attention.get("tp", 1),
            "splits_kv": attention.get("context_parallel", False),
            "microbatches": 1 if microbatches == "auto" else microbatches},
        relays=decode.get("exchange") == "two_level", heads=model("heads"),
        kv_plane=deployment.get("kv", {"plane": "rdma"})["plane"], cache=cache, block_ids=cache["enabled"] and ("trace" in workload or "reuse" in cache or "turns" in workload.get("sessions", {})),
        supernode_routing=scenario.get("policies", {}).get("supernode_routing", "least_waiting"),
        nodes=int(machine("/nodes")) * built, npus_per_node=int(machine("/npus_per_node")),
        dies_per_npu=int(machine("/dies_per_npu")),
        cpus_per_node=int(machine("/cpus_per_node")), ub_ports=planes,
        uplinks=planes * int(machine("/ub/l2_chips_per_plane")) if spread == "hash" else planes,
        ub_capacity=machine("/ub/link_bandwidth") * machine("/ub/sub_planes"),
        write_efficiency=machine(write + "inter_node_efficiency"),
        cache_bytes=quantity(cache["dram_per_node"]) * machine("/nodes") * built,
        ssd_bytes=quantity(cache.get("ssd", {}).get("capacity_per_node", "0B")) * machine("/nodes") * built,
        replans=policy_of(scenario, "pipeline_plan", "deployed") != "deployed",
        swap=deployment.get("swap", {}),
        kv_bytes={"bf16": 2, "int8": 1}[scenario["precision"]["kv_cache"]] * model("layers")
        * (model("kv_lora_rank") + model("rope_head_dim")),
        hbm_bandwidth=machine("/die/hbm_bandwidth"), hbm_capacity=machine("/die/hbm_capacity"),
        rdma_capacity=machine("/rdma/bandwidth_per_die"), rdma_efficiency=machine("/rdma/efficiency"),
        arrivals=workload["arrivals"], drift=drift_of(scenario),
        expert_bytes=3 * model("hidden") * model("expert_intermediate")
        * {"bf16": 2, "int8": 1}[scenario["precision"].get("experts", "int8")],
        model=PUBLISHED_MODEL["name"])


@dataclasses.dataclass
class Case:
    drawn: Drawn
    result: dict[str, Any]
    csv: bytes
    rows: list[Row]


class Refused(Exception):
    """cmsim did not run what was drawn, or not as it says."""


def execute(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired as error:
        raise Refused("no answer in two minutes") from error


def prepare(cmsim: str, drawn: Drawn, where: pathlib.Path) -> list[str]:
    """Writes the scenario and its trace, and gives the command that runs it."""
    if drawn.synthesize is not None:
        execute([cmsim, "trace", "synthesize", *drawn.synthesize, "--out", str(where / "trace.jsonl")])
    (where / "scenario.json").write_text(json.dumps(drawn.scenario, indent=1))
    settings = [word for item in drawn.machine.items() for word in ("--set", "{}={}".format(*item))]
    return [cmsim, "run", str(where / "scenario.json"), *settings]


def run(cmsim: str, drawn: Drawn, where: pathlib.Path) -> Case:
    command = prepare(cmsim, drawn, where)
    out = [*command, "--out", str(where / "out"), "--force", "--json", "--detailed"]
    done = execute(out)
    decodes = drawn.scenario["workload"]["role"] != "prefill"
    if done.returncode == 0 and decodes and drawn.kv_tokens_per_die is not None:
        reserve = tight_reserve(drawn, json.loads(done.stdout))
        drawn.machine["/platform/operators/hbm_reserved"] = reserve
        return run(cmsim, dataclasses.replace(drawn, kv_tokens_per_die=None), where)
    if done.returncode != 0:
        raise Refused(f"exit code {done.returncode}: {done.stderr.strip()[:300]}")
    result, csv = (where / "out" / name for name in ("result.json", "requests.csv"))
    if result.read_text() != done.stdout:
        raise Refused("result.json is not what was printed")
    return Case(drawn, json.loads(done.stdout), csv.read_bytes(), read_rows(csv.read_bytes()))


def tight_reserve(drawn: Drawn, result: dict[str, Any]) -> str:
    """So much reserved HBM that about kv_tokens_per_die are left of what the run had."""
    facts = facts_of(drawn)
    ranks = facts.decode["ranks"] * facts.decode["instances"]
    per_die = result["whole_run"]["kv"]["capacity_tokens"] // ranks
    if facts.decode["splits_kv"]:
        per_die //= facts.decode["tp"]
    spare = max(0, per_die - drawn.kv_tokens_per_die) * facts.kv_bytes
    return f"{4e9 + spare:.0f}B"
