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
short=(--set /workload/max_requests=200)

# Without the plugin its policy is unknown, with it the run must differ from the default policy's.
if "$cmsim" run "$scenario" "${short[@]}" --set /policies/prefill_batching=shortest_prompt_first --json \
     >none.json 2>none.log; then
  echo "a policy nobody registered was accepted" >&2
  exit 1
fi
grep -q shortest_prompt_first none.log
"$cmsim" run "$scenario" "${short[@]}" --json >default.json
"$cmsim" run "$scenario" "${short[@]}" --plugin build/shortest_prompt_first.so \
  --set /policies/prefill_batching=shortest_prompt_first --json >plugin.json
# The one program that links the libraries gives what the binary gives.
./build/own_program "$scenario" >own.txt
cat own.txt
