#!/usr/bin/env bash
# Installs the build, builds this folder against the installation, and runs what came out of it.
# Usage: run_test.sh BUILD_DIRECTORY WORK_DIRECTORY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$1
work=$2

rm -rf "$work"
mkdir -p "$work"
prefix=$work/prefix
cmake --install "$build" --prefix "$prefix" >"$work/install.log"
cp "$here"/CMakeLists.txt "$here"/*.cpp "$work"
cd "$work"
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix"
cmake --build build

cmsim=$prefix/bin/cmsim
scenario=$prefix/share/cmsim/workloads/scenarios/cloudmatrix384.json
# 300 requests at once and small prefill batches: a queue, so that its order matters.
workload=(/workload/max_requests=300 /workload/arrivals/kind=all_at_once
          /deployment/prefill/max_num_batched_tokens=1024)
sets=("${workload[@]/#/--set=}")
policy=--set=/policies/prefill_batching=shortest_prompt_first

# Machines and their devices are installed too, and found by name.
"$cmsim" topology h800 >topology.txt
"$cmsim" p2p gb200-nvl72 --set /device=h200 --from die:0 --to die:9 --bytes 1MB >p2p.txt

if "$cmsim" run "$scenario" "${sets[@]}" "$policy" --json >unknown.json 2>unknown.log; then
  echo "a policy that nobody registered was accepted" >&2
  exit 1
fi
grep shortest_prompt_first unknown.log
"$cmsim" run "$scenario" "${sets[@]}" --json >default.json
"$cmsim" run "$scenario" "${sets[@]}" "$policy" --plugin build/shortest_prompt_first.so --json >plugin.json
# docs/policies.md goes from this file to a table.
python3 "$here/../../scripts/readme.py" "$cmsim" --plugins build
./build/own_program "$scenario" "${workload[@]}" | tee own.txt

# Shortest first has the lowest mean waiting time; a program and the binary give the same numbers.
python3 - <<'END'
import json
default, plugin = (json.load(open(name + ".json")) for name in ("default", "plugin"))
print("mean TTFT, ms: default", default["mean_ttft_ms"], "shortest first", plugin["mean_ttft_ms"])
assert plugin["mean_ttft_ms"] < default["mean_ttft_ms"]
expected = f"{default['completed']} finished, {default['output_throughput']:.6f} tokens/s"
assert open("own.txt").read().strip() == expected, expected
END
