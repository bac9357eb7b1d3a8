#!/usr/bin/env bash
# Run a plan on a Ray cluster made of the nodes of one Slurm job, with a worker for every GPU, or every CPU where there is none.
#   sbatch --nodes=4 --ntasks-per-node=1 --cpus-per-task=8 --time=4:00:00 ray.sh PLAN RUN [options of voicefit sweep]
# Called again, it goes on where it stopped.
set -euo pipefail
plan=$1 run=$2
shift 2
port=$((20000 + SLURM_JOB_ID % 20000))
# Ray runs whatever it is sent: only who has the token may send.
RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n') RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_MODE RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED
node=(ray start --block "--num-cpus=${SLURM_CPUS_PER_TASK:-1}" "--num-gpus=${SLURM_GPUS_ON_NODE:-0}")

trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
"${node[@]}" --head "--port=$port" --include-dashboard=false > /dev/null &
until (echo > "/dev/tcp/$(hostname)/$port") 2> /dev/null; do sleep 1; done
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    srun --nodes="$((SLURM_JOB_NUM_NODES - 1))" --ntasks-per-node=1 --exclude="$(hostname)" \
        "${node[@]}" "--address=$(hostname):$port" > /dev/null &
fi
python - "$(hostname):$port" "$SLURM_JOB_NUM_NODES" << 'END'
import sys, time, ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    time.sleep(1)
END
voicefit sweep "$plan" --out "$run" --engine ray --address "$(hostname):$port" "$@"
