#!/bin/sh
# All GPU tests and benchmarks in one call of under nine minutes; tables in OUT (default docs/benchmarks).
# Peers that are not installed are named in the tables. Everything is run; the exit code is that of the worst.
set -u
cd "$(dirname "$0")/../.." || exit 1
python=${PYTHON:-python3}
out=${OUT:-docs/benchmarks}
name=$($python -c 'import torch; print(torch.cuda.get_device_name().lower().replace(" ", "-"))') || exit 1
worst=0
PYTHONPATH=. timeout 150 $python -m pytest -q -m gpu tests/test_gpu.py tests/decoding/test_beam_gpu.py \
  tests/test_precision.py || worst=1
PYTHONPATH=. timeout 330 $python tools/bench/run.py --device cuda --limit 80 --out "$out/$name" --python "$python" ||
  worst=1
PYTHONPATH=. timeout 60 $python tools/bench/roofline.py --json "$out/$name-roofline.json" || worst=1
exit $worst
