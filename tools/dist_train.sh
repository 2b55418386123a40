#!/usr/bin/env bash
# Train with one process per GPU (or per CPU worker), on one or several machines.
set -euo pipefail

usage() {
  cat >&2 <<'TEXT'
usage: bash tools/dist_train.sh CONFIG NPROC [arguments of tools/train.py]

  NPROC        processes on this machine, normally its number of GPUs

On several machines run it on each, with these in the environment:
  NNODES       number of machines (1)
  NODE_RANK    which of them this is, counted from 0 (0)
  MASTER_ADDR  address of machine 0 (127.0.0.1)
  PORT         a free port there (29500); two runs on one machine need two
TEXT
  exit 2
}

[[ $# -ge 2 ]] || usage
config=$1
nproc=$2
shift 2
[[ $nproc =~ ^[1-9][0-9]*$ ]] || { echo "NPROC must be a number from 1 up, not '$nproc'" >&2; usage; }
[[ -f $config ]] || { echo "no such config: $config" >&2; exit 2; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

exec "${PYTHON:-python}" -m torch.distributed.run \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
  --nproc_per_node="$nproc" \
  "$here/train.py" "$config" --launcher pytorch "$@"
