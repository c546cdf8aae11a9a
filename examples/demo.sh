#!/usr/bin/env bash
# The main job, end to end: trains the digit classifier, evaluates and exports it, runs the export on a chip that lacks
# kernels, and writes a report. Ends with one JSON line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
output=${TRIREME_DEMO_OUTPUT:-build/demo}
rm -rf "$output"
build/examples/mnist --output "$output" "$@" >"$output.json" || { status=$?; cat "$output.json"; exit $status; }
TRIREME_REFCHIP_PERSONA=minimal-13 build/trireme report "$output" --chip refchip:0
