"""Sweeps on a Ray cluster of several nodes, all on this machine: real raylets, real actors, really killed."""

import importlib.util
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import pytest

from support import deadly, never_ready
from support.deadly import Deadly, Gated, with_settings
from support.errands import Errands
from voicefit.errors import VoicefitError
from voicefit.sweep import ray_cluster, run_sweep
from voicefit.sweep.plan import make_plan
from voicefit.sweep.ray_cluster import connected, share_out
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.scheduler import Scheduler
from voicefit.sweep.specs import StartId
from voicefit.sweep.trial_jobs import group_trials, run_trials

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the library ray is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "slurm" / "ray.sh"
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
NOTICE_AT_ONCE = {  # that a node is gone: after a second, not half a minute
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 300,
    "health_check_failure_threshold": 3,
}


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with a CPU each, which this process has joined.

    They end with this module: a process that another test forks of this one would end them as it exits.
    """
    ray = ray_cluster.import_ray(local=True)
    from ray.cluster_utils import Cluster

    head = {**NODE, "include_dashboard": False, "_system_config": NOTICE_AT_ONCE}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    nodes.add_node(**NODE)
    try:
        with connected(nodes.address):
            for module in (deadly, never_ready):  # workers have no folder of tests
                ray.cloudpickle.register_pickle_by_value(module)
            yield nodes
    finally:
        nodes.shutdown()


def run_on_ray(*arguments, **named):
    from voicefit.sweep import ray_engine

    return ray_engine.run_trials(*arguments, **named)


def workers_at_tasks(parent=None):
    """Processes below ``parent`` that run trials or pre-finetune."""
    found = []
    for process in psutil.Process(parent).children(recursive=True):
        try:
            if process.cmdline()[:1] == ["ray::_Actor.run"]:
                found.append(process)
        except psutil.Error:  # it has just ended
            continue
    return found


@contextmanager
def once(condition, action):
    """Do ``action`` as soon as ``condition`` holds, while the block runs."""

    def watch():
        wait_until(condition)
        action()

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join()


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow(35)
@needs_ray
class TestOnACluster:
    def test_a_sweep_stores_what_it_stores_in_one_process_and_a_killed_pre_finetuning_goes_on(
        self, cluster, subsets_plan, tmp_path, same_checkpoints, stored
    ):
        plan, cache, told = make_plan(subsets_plan, "plan"), tmp_path / "cache", []
        state = tmp_path / "ray" / "checkpoints" / "tiny" / "alpha+beta.unfinished" / "state.safetensors"

        with once(lambda: state.exists() and len(workers_at_tasks()) == 2, lambda: workers_at_tasks()[0].kill()):
            result = run_sweep(
                plan, tmp_path / "ray", engine="ray", cache_root=cache, progress=lambda *step: told.append(step)
            )

        run_sweep(plan, tmp_path / "process", cache_root=cache)
        assert (result.skipped, result.finished, result.failed) == (0, 24, 0)
        assert [step for step in told if step[0] == "trials"] == [("trials", done, 24) for done in range(1, 25)]
        assert [step for step in told if step[0] == "tiny/alpha+beta: epoch 40/40"][-1][1:] == (3, 3)
        same_checkpoints(tmp_path / "ray", tmp_path / "process")
        pd.testing.assert_frame_equal(stored(tmp_path / "ray"), stored(tmp_path / "process"))

    def test_the_trials_of_a_killed_worker_and_of_a_lost_node_run_elsewhere(
        self, cluster, trials, trial_jobs, tmp_path, results_of, errors_of
    ):
        starts = {StartId("twin", "none"): trial_jobs.starts[StartId("tiny", "none")], **trial_jobs.starts}
        waiting = with_settings(Gated(tmp_path / "gate"))  # whoever is at `head` is in the middle of it
        trial_jobs = replace(trial_jobs, starts=starts, methods={**trial_jobs.methods, "head": waiting})
        both = [replace(trial, encoder=encoder) for encoder in ("tiny", "twin") for trial in trials]
        doomed = cluster.add_node(**NODE)
        raylet = doomed.all_processes["raylet"][0].process.pid

        def lose_two():
            lost = {process.pid for process in workers_at_tasks(raylet)}
            next(process for process in workers_at_tasks() if process.pid not in lost).kill()
            cluster.remove_node(doomed, allow_graceful=False)
            (tmp_path / "gate").touch()

        with once(lambda: len(workers_at_tasks()) == 3, lose_two):
            results = results_of(run_on_ray(both, trial_jobs, 3))

        assert results == results_of(run_trials(both, trial_jobs, 1))
        assert not errors_of(results)

    def test_a_trial_that_hangs_and_one_that_kills_are_recorded_as_failed_and_the_others_run(
        self, cluster, trials, trial_jobs, results_of, errors_of
    ):
        ends = {"hanging": "hang", "deadly": "kill"}
        bad = {name: with_settings(Deadly(end)) for name, end in ends.items()}
        hanging, killing = (replace(trials[0], method=name) for name in bad)
        good = [trial for trial in trials if trial.speaker == trials[0].speaker]

        mixed = [*good[:2], hanging, *good[2:], killing]
        results = results_of(
            run_on_ray(mixed, replace(trial_jobs, methods={**trial_jobs.methods, **bad}), 1, trial_timeout=4)
        )

        assert results.pop(hanging) == ({}, "took longer than the limit of 4 s and was stopped")
        assert results.pop(killing)[1].startswith("the worker died 3 times (")
        assert results == results_of(run_trials(good, trial_jobs, 1))
        wait_until(lambda: not workers_at_tasks())

    def test_workers_that_end_before_they_are_ready_end_the_sweep(self, cluster, trials):
        from voicefit.sweep.ray_transport import RayTransport

        transport = RayTransport(never_ready.NeverReady(), [], {"num_cpus": 1, "num_gpus": 0})
        with pytest.raises(VoicefitError, match=r"^workers cannot start on the Ray cluster: .*actor"):
            list(Scheduler(group_trials(trials, {}), transport, 1).run())
        assert transport.failed_starts == 3

    def test_a_cluster_that_has_no_room_for_a_worker_ends_the_sweep(self, cluster, trials, monkeypatch):
        from voicefit.sweep import ray_transport

        monkeypatch.setattr(ray_transport, "_WAIT_FOR_ROOM_S", 1.0)
        transport = ray_transport.RayTransport(Errands(Path("none")), [], {"num_cpus": 99, "num_gpus": 0})
        with pytest.raises(VoicefitError, match="no node of the Ray cluster has had room for a worker for 1 s"):
            list(Scheduler(group_trials(trials, {}), transport, 1).run())

    def test_a_node_that_cannot_see_the_clips_is_named_and_the_run_can_go_on(
        self, cluster, raw_plan, corpora_folder, tmp_path, monkeypatch, stored
    ):
        monkeypatch.chdir(corpora_folder)  # so that this path is there for this process, and not for a worker
        targets, grid = {"voices": "/proc/self/cwd/voices"}, [{**raw_plan["grid"][0], "starts": ["none"]}]
        plan = make_plan({**raw_plan, "targets": targets, "grid": grid}, "plan")

        unseen = r"^Ray: node .* cannot see /proc/self/cwd/voices/anna/.*wav of target voices; every node must"
        with pytest.raises(VoicefitError, match=unseen):
            run_sweep(plan, tmp_path / "out", engine="ray", workers=1)

        assert len(stored(tmp_path / "out")) == 0
        assert run_sweep(plan, tmp_path / "out").finished == 48

    def test_a_node_that_cannot_see_the_run_directory_is_named_before_anything_is_made(
        self, cluster, subsets_plan, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        unseen = r"^Ray: node .* cannot see /proc/self/cwd/out/run.json of the run directory; every node must"
        with pytest.raises(VoicefitError, match=unseen):
            run_sweep(make_plan(subsets_plan, "plan"), "/proc/self/cwd/out", engine="ray", workers=1)
        assert not (tmp_path / "out" / "checkpoints").exists()

    def test_a_sweep_that_is_interrupted_leaves_the_cluster_and_goes_on(
        self, cluster, raw_plan, write_plan, tmp_path, stored
    ):
        grid = [{**raw_plan["grid"][0], "starts": ["none"], "methods": ["full"], "draws": 20}]
        plan, cache = {**raw_plan, "grid": grid}, tmp_path / "cache"
        command = [sys.executable, "-c", "from voicefit.cli.app import main; main()", "sweep", write_plan(plan)]

        process = subprocess.Popen(
            [*command, "--out", tmp_path / "out", "--engine", "ray", "--address", cluster.address],
            env=os.environ | {"VOICEFIT_CACHE": str(cache)},
            start_new_session=True,
            stdout=subprocess.PIPE,
        )
        wait_until(lambda: finished(tmp_path / "out") > 20)
        os.killpg(process.pid, signal.SIGINT)

        assert process.communicate(timeout=30)[0] == b""
        assert process.returncode == 130
        before = finished(tmp_path / "out")
        assert 20 < before < 240
        wait_until(lambda: not workers_at_tasks())
        result = run_sweep(make_plan(plan, "plan"), tmp_path / "out", cache_root=cache)
        assert (result.skipped, result.finished) == (before, 240 - before)
        run_sweep(make_plan(plan, "plan"), tmp_path / "process", cache_root=cache)
        pd.testing.assert_frame_equal(stored(tmp_path / "out"), stored(tmp_path / "process"))


def finished(out):
    try:
        with RunDirectory(out).open_store() as store:
            return len(store.finished_keys())
    except VoicefitError:
        return 0


def node(cpus, gpus=0, alive=True):
    return {"Alive": alive, "Resources": {"CPU": float(cpus), "GPU": float(gpus), "memory": 1e9}}


@pytest.mark.parametrize(
    ("nodes", "workers", "count", "threads", "gpu"),
    [
        ([node(4), node(2)], None, 6, 1, 0),
        ([node(4), node(2)], 3, 3, 2, 0),
        ([node(1), node(1)], 1, 1, 1, 0),
        ([node(4), node(4)], 3, 3, 2, 0),  # three CPUs each would leave room for two
        ([node(4), node(8, alive=False)], None, 4, 1, 0),
        ([node(2)], 5, 5, 1, 0),
        ([node(16, 1)], None, 1, 16, 1),
        ([node(16, 1)], 3, 3, 5, 0.3333),
        ([node(16, 2), node(8, 2), node(64)], 8, 8, 2, 0.5),  # the last node has no GPU
        ([node(4, 1), node(16, 1)], None, 2, 4, 1),  # both workers would fit on the second, but for its GPU
    ],
)
def test_the_cluster_is_shared_out_among_the_workers(nodes, workers, count, threads, gpu):
    assert share_out(nodes, workers) == (count, {"num_cpus": threads, "num_gpus": gpu})


def test_a_cluster_without_processors_is_an_error():
    with pytest.raises(VoicefitError, match="no node with a CPU"):
        share_out([node(0), node(4, alive=False)], 1)


@pytest.mark.parametrize("address", ["ray://host:10001", "host", "host:port", ":6379", "host:123456"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(VoicefitError, match="write HOST:PORT, or auto"), connected(address):
        pass


@pytest.mark.parametrize("port", [1, 99999])
def test_an_address_where_nobody_listens_is_refused(port):
    with pytest.raises(VoicefitError, match=r"nobody answers .* is the cluster up"), connected(f"127.0.0.1:{port}"):
        pass


def test_without_ray_nothing_is_written_and_what_to_install_is_said(raw_plan, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(VoicefitError, match=r"pip install 'voicefit\[ray\]'"):
        run_sweep(make_plan(raw_plan, "plan"), tmp_path / "out", engine="ray")
    assert not (tmp_path / "out").exists()


def test_an_address_without_ray_as_the_engine_is_an_error(raw_plan, tmp_path):
    with pytest.raises(VoicefitError, match="add --engine ray"):
        run_sweep(make_plan(raw_plan, "plan"), tmp_path / "out", address="127.0.0.1:6379")
    assert not (tmp_path / "out").exists()


STAND_INS = {
    "ray": """#!/usr/bin/env bash
        echo "ray $* token=$RAY_AUTH_TOKEN" >> "$SAID"
        for word in "$@"; do [[ $word == --port=* ]] && port=${word#--port=}; done
        exec "$REAL_PYTHON" -c "
import socket, sys, time
held = socket.create_server(('', $port)) if '--head' in sys.argv else None
time.sleep(600)" "$@" """,
    "srun": """#!/usr/bin/env bash
        echo "srun ${*:1:3}" >> "$SAID"
        exec "${@:4}" """,
    "python": """#!/usr/bin/env bash
        cat > /dev/null
        until [[ $(grep -c ^ray "$SAID") == "$3" ]]; do sleep 0.05; done
        echo "nodes $3 of $2" >> "$SAID" """,
    "voicefit": """#!/usr/bin/env bash
        echo "voicefit $* token=$RAY_AUTH_TOKEN" >> "$SAID"
        exit 2 """,
}


@pytest.mark.slow(3)
@pytest.mark.parametrize("nodes", [1, 2])
def test_the_slurm_example_sweeps_when_all_nodes_have_joined_and_ends_them(tmp_path, nodes):
    for name, text in STAND_INS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NUM_NODES": str(nodes), "SLURM_CPUS_PER_TASK": "8"}
    paths = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SAID": str(tmp_path / "said"), "REAL_PYTHON": sys.executable}

    command = [EXAMPLE, "my plan.toml", "run", "--trial-timeout", "600"]
    done = subprocess.run(command, env=os.environ | paths | slurm, timeout=120)

    said = (tmp_path / "said").read_text().splitlines()
    tokens = {line.partition(" token=")[2] for line in said} - {""}
    said = [line.partition(" token=")[0] for line in said]
    host, port = platform.node(), 20_000 + os.getpid() % 20_000
    start = "ray start --block --num-cpus=8 --num-gpus=0"
    assert done.returncode == 2  # that of the sweep
    assert said[0] == f"{start} --head --port={port} --include-dashboard=false"
    assert (
        said[1:-2]
        == [
            f"srun --nodes=1 --ntasks-per-node=1 --exclude={host}",
            f"{start} --address={host}:{port}",
        ][: 2 * (nodes - 1)]
    )
    assert said[-2:] == [
        f"nodes {nodes} of {host}:{port}",
        f"voicefit sweep my plan.toml --out run --engine ray --address {host}:{port} --trial-timeout 600",
    ]
    assert len(tokens) == 1 and len(tokens.pop()) == 64
    with pytest.raises(VoicefitError, match="nobody answers"), connected(f"127.0.0.1:{port}"):
        pass
