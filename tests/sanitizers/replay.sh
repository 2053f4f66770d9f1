#!/usr/bin/env bash
# Ten varied runs of a whole cmsim that was built with sanitizers: a finding of theirs ends the run
# with a code of its own, so any code but the expected one fails. ./scripts/test builds and calls it.
# Usage: replay.sh CMSIM
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmsim=$1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 ASAN_OPTIONS=detect_leaks=0:exitcode=99
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
scenarios=workloads/scenarios
failed=0

# replay CODE NAME ARGUMENT...: cmsim run ARGUMENT... into a directory of its own.
replay() {
  local expected=$1 name=$2 code=0
  shift 2
  "$cmsim" run "$@" --out "$work/$name" --quiet >"$work/$name.log" 2>&1 || code=$?
  [ "$code" -eq "$expected" ] && return 0
  printf '%s: exit code %s, expected %s\n' "$name" "$code" "$expected" >&2
  tail -n 40 "$work/$name.log" >&2
  failed=1
}
fixed() {
  printf '/workload={"requests": %s, "prompt_length": %s, "output_length": %s, "arrivals": %s}' "$@"
}
poisson='{"kind": "poisson", "rate": 50}'

replay 0 default $scenarios/cloudmatrix384.json --set /workload/max_requests=1500
replay 0 decode $scenarios/paper-decode.json --set /workload/requests=4000 \
  --set /deployment/decode/max_num_seqs=8
replay 0 prefill $scenarios/paper-prefill.json --set /workload/requests=300 --set /deployment/cache/reuse=0.5
replay 0 preempted $scenarios/paper-decode.json --set /platform/die/hbm_capacity=28GB \
  --set /workload/requests=3000 --set /workload/output_length=3000
replay 0 rejected $scenarios/cloudmatrix384.json --set "$(fixed 20 1000000 5 "$poisson")" \
  --set /policies/prefill_routing=round_robin --set /policies/decode_routing=round_robin
replay 0 horizon $scenarios/cloudmatrix384.json --set "$(fixed 400 3000 400 "$poisson")" --set /horizon=5s
replay 0 hose $scenarios/cloudmatrix384.json --set "$(fixed 200 4000 50 "$poisson")" --network hose \
  --set /platform/ub/sub_planes=4
replay 0 stripes $scenarios/cloudmatrix384.json --set /workload/max_requests=300 \
  --set /platform/ub/spread=stripe --set /deployment/cache/plane=vpc --detailed
replay 0 options $scenarios/cloudmatrix384.json \
  --set "$(fixed 300 900 60 '{"kind": "gamma", "rate": 100, "burstiness": 0.3}')" \
  --set /decode/mtp/draft_tokens=3 --set /precision/kv_cache=int8 --set /decode/exchange=two_level \
  --set /experts/placement=contiguous --set /prefill/sequence_packing=false --set /decode/launch=cpu
zcat workloads/traces/r1-like.jsonl.gz >"$work/trace.jsonl"
replay 0 pipe $scenarios/cloudmatrix384.json --trace <(head -n 500 "$work/trace.jsonl")
exit $failed
