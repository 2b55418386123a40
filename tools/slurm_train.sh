#!/usr/bin/env bash
# Train under Slurm: one task per GPU, over as many machines as they need.
set -euo pipefail

usage() {
  cat >&2 <<'TEXT'
usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]

In the environment (defaults in brackets):
  GPUS           GPUs in all (4)
  GPUS_PER_NODE  GPUs on each machine (GPUS, at most 8)
  CPUS_PER_TASK  CPU cores for each GPU (5)
  SRUN_ARGS      further arguments for srun, separated by spaces
  PORT           port of the first machine for the processes to meet (29500)
TEXT
  exit 2
}

[[ $# -ge 3 ]] || usage
partition=$1
job_name=$2
config=$3
shift 3
[[ -f $config ]] || { echo "no such config: $config" >&2; exit 2; }
command -v srun >/dev/null || { echo "srun not found: this script is for machines under Slurm" >&2; exit 2; }

gpus=${GPUS:-4}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
# Without a split, several arguments in SRUN_ARGS would reach srun as one.
read -r -a extra <<<"${SRUN_ARGS:-}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# mmengine reads the port from MASTER_PORT and finds the first machine in Slurm's own variables.
export MASTER_PORT=${PORT:-29500}
exec srun --partition="$partition" --job-name="$job_name" \
  --ntasks="$gpus" --ntasks-per-node="$per_node" --gres="gpu:$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
  --kill-on-bad-exit=1 ${extra[@]+"${extra[@]}"} \
  "${PYTHON:-python}" -u "$here/train.py" "$config" --launcher slurm "$@"
