#!/usr/bin/env bash
# Installs the frameworks that Trireme is measured against into build/peers, an environment of their own, at pinned
# versions. A peer that cannot be installed is named and left out; `./dev bench --peers` then shows it as missing.
#
# PyTorch brings oneDNN with it, and its libraries for C++ programs: with a compiler, bench/peers/libtorch_peer.cc is built.
#
# onnx reads weights for peers that do not read the format themselves, and checks models (onnx_runtime_check.py).
#
# usage: bench/peers/install.sh [peer...]      all of them where none is named
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

declare -A packages=(
  [onnxruntime]="onnxruntime==1.32.0"
  [torch]="torch==2.15.0"
  [openvino]="openvino==2026.4.1"
  [paddle]="paddlepaddle==3.3.1"
  [openblas]="scipy-openblas32==0.3.34.481.3"
)
chosen=("$@")
[ $# -gt 0 ] || chosen=(onnxruntime openvino paddle openblas torch)

environment=build/peers
[ -x "$environment/bin/python" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet numpy==2.4.6 onnx==1.23.2

missing=()
for peer in "${chosen[@]}"; do
  [ -n "${packages[$peer]:-}" ] || {
    echo "install.sh: no peer '$peer'; there are: ${!packages[*]}" >&2
    exit 2
  }
  # PyTorch's builds for CPUs lie on an index of its own; where that cannot be reached, PyPI's build does the same work.
  index=()
  if [ "$peer" = torch ] && curl -sfm 10 -o /dev/null https://download.pytorch.org/whl/cpu/torch/; then
    index=(--index-url https://download.pytorch.org/whl/cpu)
  fi
  # shellcheck disable=SC2086  # a list of words
  "$environment/bin/pip" install --quiet "${index[@]}" ${packages[$peer]} || missing+=("$peer")
done
torch=$("$environment/bin/python" -c 'import torch, os; print(os.path.dirname(torch.__file__))' 2>/dev/null || true)
if [ -n "$torch" ]; then
  "${CXX:-g++}" -O2 -std=c++20 -I "$torch/include" -I "$torch/include/torch/csrc/api/include" bench/peers/libtorch_peer.cc -o "$environment/bin/libtorch_peer" \
    -L "$torch/lib" -Wl,-rpath,"$torch/lib" -Wl,--no-as-needed -ltorch_cpu -lc10 || missing+=(libtorch)
fi
[ ${#missing[@]} -eq 0 ] || echo "install.sh: could not install: ${missing[*]}" >&2
