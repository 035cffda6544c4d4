#!/bin/sh
# All GPU benchmarks and GPU tests in one call of under nine minutes; tables in OUT (default docs/benchmarks).
# Peers that are not installed are named in the tables.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
out=${OUT:-docs/benchmarks}
name=$($python -c 'import torch; print(torch.cuda.get_device_name().lower().replace(" ", "-"))')
PYTHONPATH=. $python -m pytest -q -m gpu tests/test_gpu.py || echo "GPU tests failed" >&2
PYTHONPATH=. timeout 240 $python tools/bench/run.py --device cuda --out "$out/$name" --python "$python"
PYTHONPATH=. timeout 120 $python tools/bench/roofline.py --json "$out/$name-roofline.json"
