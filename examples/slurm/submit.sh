#!/usr/bin/env bash
# Run a plan as an array of Slurm jobs; once all have ended well, merge them and write the report.
#   submit.sh PLAN RUN SHARDS [options of sbatch, as --time=4:00:00 --gres=gpu:1 --cpus-per-task=4]
# Called again, jobs that did not finish go on where they stopped.
set -euo pipefail
plan=$1 run=$2 shards=$3
shift 3
sweep="voicefit sweep '$plan' --shard \$SLURM_ARRAY_TASK_ID/$shards --out '$run-shards'/\$SLURM_ARRAY_TASK_ID"
array=$(sbatch --parsable --array="1-$shards" "$@" --wrap "$sweep")
sbatch --dependency="afterok:${array%%;*}" "$@" --wrap "voicefit merge '$run-shards'/* --out '$run' && voicefit report '$run'"
