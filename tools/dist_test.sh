#!/usr/bin/env bash
# Test a checkpoint with one process per GPU (or per CPU worker), on one or several machines.
set -euo pipefail

usage() {
  cat >&2 <<'TEXT'
usage: bash tools/dist_test.sh CONFIG CHECKPOINT NPROC [arguments of tools/test.py]

  NPROC        processes on this machine, normally its number of GPUs

On several machines run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment, as for
tools/dist_train.sh.
TEXT
  exit 2
}

[[ $# -ge 3 ]] || usage
config=$1
checkpoint=$2
nproc=$3
shift 3
[[ $nproc =~ ^[1-9][0-9]*$ ]] || { echo "NPROC must be a number from 1 up, not '$nproc'" >&2; usage; }
[[ -f $config ]] || { echo "no such config: $config" >&2; exit 2; }
[[ -f $checkpoint ]] || { echo "no such checkpoint: $checkpoint" >&2; exit 2; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

exec "${PYTHON:-python}" -m torch.distributed.run \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
  --nproc_per_node="$nproc" \
  "$here/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
