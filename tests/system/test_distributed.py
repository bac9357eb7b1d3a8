import json
import os
import shutil
import socket
import time

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from support import SUPPORT
from support.new_process import Started
from support.run_distributed import keep_state
from support.run_prefinetune import SETTINGS, load_corpora
from support.tiny_models import build_wav2vec2_group_norm
from support.tones import PITCHES, build_tones
from voicefit.encoders import load_encoder
from voicefit.errors import VoicefitError
from voicefit.prefinetuning.batches import epoch_batches
from voicefit.prefinetuning.prefinetune import Run, prefinetune
from voicefit.system.distributed import ALONE, Processes, joined

torch.set_num_threads(1)

RUN_DISTRIBUTED = SUPPORT / "run_distributed.py"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
NO_DROPOUT = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0}
WHOLE = {"lr": 1e-3, "max_epochs": 3}
JOBS = {"whole": WHOLE, "few": {"batch_size": 3, "max_epochs": 2}, "one": {"batch_size": 1, "max_epochs": 1}}


# What processes do for each other


@pytest.mark.parametrize("length", [0, 1, 2, 7, 32])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shares_are_everything_once_and_in_order(length, count):
    items = list(range(length))
    shares = [Processes(rank, count).share(items) for rank in range(count)]
    assert [item for share in shares for item in share] == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_is_alone(monkeypatch):
    for environment in ({}, {"WORLD_SIZE": "1", "RANK": "0"}):
        monkeypatch.delenv("WORLD_SIZE", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with joined() as processes:
            assert processes is ALONE
    weight = torch.nn.Parameter(torch.ones(2))
    ALONE.sum_gradients([weight])
    assert weight.grad is None
    assert ALONE.gather("mine") == ["mine"]
    assert ALONE.rows([1, 2], torch.tensor).tolist() == [1, 2]


def test_every_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr("voicefit.system.distributed.devices", lambda: ["cuda:0", "cuda:1"])
    assert [Processes(rank, 4, rank % 2, 2).device for rank in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    with pytest.raises(VoicefitError, match="3 processes on a machine that shows 2 GPUs"):
        Processes(2, 3, 2, 3).device  # noqa: B018
    monkeypatch.setattr("voicefit.system.distributed.devices", lambda: ["cpu"])
    assert Processes(2, 3, 2, 3).device == "cpu"


def test_an_environment_without_the_others_is_explained(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(VoicefitError, match="start them with torchrun"), joined():
        pass


@pytest.mark.parametrize("objective", ["dann", "supcon", "episodic"])
def test_objectives_over_a_whole_batch_are_refused(objective, tmp_path):
    build_tones(tmp_path / "corpora" / "tones", ["sad"], takes=1)
    settings, run = SETTINGS.model_copy(update={"objective": objective}), Run(processes=Processes(0, 2))
    with pytest.raises(VoicefitError, match=f"objective {objective} .* start a single process"):
        prefinetune(None, load_corpora(tmp_path / "corpora"), tmp_path / "out", source="", settings=settings, run=run)


# Two processes and one


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A folder with a model and two corpora."""
    root = tmp_path_factory.mktemp("material")
    build_wav2vec2_group_norm(root / "model", **NO_DROPOUT)
    build_tones(root / "corpora" / "three", PITCHES)
    build_tones(root / "corpora" / "two.1", ("angry", "neutral"))
    return root


def run_alone(material, out, changes, **more):
    """Pre-finetune in this process as `run_distributed` does in several."""
    encoder, corpora = load_encoder(material / "model"), load_corpora(material / "corpora")
    settings = SETTINGS.model_copy(update=changes)
    run = Run(seed=5, cache_root=material / "cache", **more)
    return prefinetune(encoder, corpora, out, source="tiny", settings=settings, run=run)


def environment(material, **more):
    return {**os.environ, "VOICEFIT_CACHE": str(material / "cache"), "OMP_NUM_THREADS": "1", **more}


def torchrun(material, folder, *arguments):
    """Run two processes under the real launcher, which begins with its imports done; those two begin anew."""
    return Started([*TORCHRUN, *arguments], folder, environment(material)).end(300)


def places_of_two(material):
    """The environments of two processes as a launcher gives them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": str(port), "MASTER_ADDR": "127.0.0.1"}
    return [environment(material, **common, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]


@pytest.fixture(scope="module")
def outputs(material):
    """Two folders: what one process has written and what two have, by the names of the jobs.

    ``whole.stopped`` is what a kill within the second epoch of that job would have left, and ``continued`` what two
    processes made of the one that one process left.
    """
    one, two = material / "one", material / "two"
    for name, changes in JOBS.items():
        run_alone(material, one / name, changes, save_every=0, progress=keep_state(one / name, 2, 3))
    shutil.copytree(one / "whole.stopped", two / "continued.unfinished")
    jobs = json.dumps(JOBS | {"continued": WHOLE})
    arguments = (RUN_DISTRIBUTED, material / "model", material / "corpora", two, jobs)
    code, _, errors = torchrun(material, material / "of two", *arguments)
    assert code == 0, errors
    return one, two


def assert_equal_within_rounding(one, other):
    weights, others = (load_file(out / "model.safetensors") for out in (one, other))
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        # A softmax does not feel what is added to all keys: the gradient of their bias is rounding and nothing else,
        # which AdamW takes steps of the usual size along.
        if not name.endswith("k_proj.bias"):
            torch.testing.assert_close(others[name], tensor, atol=1e-5, rtol=0, msg=name)
    histories = [pd.read_csv(out / "history.csv").drop(columns="seconds") for out in (one, other)]
    pd.testing.assert_frame_equal(*histories, rtol=1e-4)


@pytest.mark.slow(39)
@pytest.mark.parametrize("job", JOBS)
def test_two_processes_come_to_what_one_comes_to(outputs, job):
    one, two = outputs
    assert_equal_within_rounding(one / job, two / job)
    assert not (two / f"{job}.unfinished").exists()


@pytest.mark.slow(1)
def test_some_of_these_were_weights_after_the_last_step(outputs):
    """Which epochs are the best of so few clips depends on the processor's rounding."""
    last = {job: SETTINGS.model_copy(update=JOBS[job]).max_epochs for job in JOBS}
    best = {job: json.loads((outputs[0] / job / "voicefit.json").read_text())["best"]["epoch"] for job in JOBS}
    assert any(best[job] == last[job] > 1 for job in JOBS)


def test_these_were_steps_without_some_corpus_and_without_clips_for_some_process():
    few = list(epoch_batches({"three": 24, "two.1": 16}, 3, "proportional", 5, 0))
    assert {len(batch) for batch in few} == {1, 2}
    assert Processes(0, 2).share([0]) == []


@pytest.mark.slow(2)
def test_one_process_goes_on_from_what_two_have_left(material, outputs, tmp_path):
    one, two = outputs
    shutil.copytree(two / "whole.stopped", tmp_path / "out.unfinished")
    steps = []
    more = {"resume": True, "progress": lambda what, done, total: steps.append((what, done))}
    out = run_alone(material, tmp_path / "out", WHOLE, **more)
    assert next(step for step in steps if step[0].startswith("epoch")) == ("epoch 2/3", 4)
    assert_equal_within_rounding(one / "whole", out)


@pytest.mark.slow(1)
def test_two_processes_go_on_from_what_one_has_left(outputs):
    one, two = outputs
    assert not (two / "continued.stopped").exists()  # the third step of epoch 2 was not made again
    assert_equal_within_rounding(one / "whole", two / "continued")


# The command line


@pytest.mark.slow(37)
def test_the_command_runs_under_torchrun_and_one_process_talks(material, tmp_path):
    command = ("-m", "voicefit", "prefinetune", "--encoder", material / "model", "--out", material / "printed")
    command = (*command, "--corpus", f"tones={material / 'corpora' / 'three'}")
    code, printed, errors = torchrun(material, tmp_path, *command, "--precision", "bfloat16")
    assert code == 0, errors
    assert printed.count("checkpoint:") == 1
    record = json.loads((material / "printed" / "voicefit.json").read_text())
    assert record["corpora"][0]["train_clips"] == 24 and record["settings"]["precision"] == "bfloat16"

    code, _, errors = torchrun(material, tmp_path, *command)
    assert code == 1  # torchrun's own
    assert errors.count("exists already") == errors.count("error: ") == 1
    assert "exitcode  : 2" in errors


# Processes that fail, with no launcher that would end the others


@pytest.fixture
def start(material, tmp_path):
    """Start a process of two, with a command of its own."""
    pair, started = places_of_two(material), []

    def start_one(rank, *words):
        started.append(Started(words, tmp_path / f"of process {rank}", pair[rank]))
        return started[-1]

    yield start_one
    for one in started:
        one.process.kill()
        one.process.join()


@pytest.mark.slow(18)
def test_a_mistake_on_one_process_ends_all_with_one_message(start, material, tmp_path):
    command = ("prefinetune", "--encoder", material / "model", "--out", tmp_path / "out", "--corpus")
    corpora = (material / "corpora" / "three", tmp_path / "nowhere")
    processes = [start(rank, *command, f"tones={corpus}") for rank, corpus in enumerate(corpora)]
    ends = [process.end(120) for process in processes]
    errors = [error for _, _, error in ends]
    assert [code for code, _, _ in ends] == [2, 2]
    assert "nowhere: no such file or folder" in errors[1]
    assert sum(text.count("error:") for text in errors) == 1
    assert not any(tmp_path.glob("out*"))


@pytest.mark.slow(3)
@pytest.mark.parametrize(
    ("mistake", "said"),
    [(("--precision", "float16"), "'float16' is not one of"), (("--corpus", "tones=b"), "tones is given twice")],
)
def test_a_mistake_in_the_command_is_told_once_by_the_first(start, tmp_path, mistake, said):
    command = ("prefinetune", "--encoder", "none", "--out", tmp_path / "out", "--corpus", "tones=a")
    processes = [start(rank, *command, *mistake) for rank in range(2)]
    ends = [process.end(120) for process in processes]
    assert [code for code, _, _ in ends] == [2, 2]
    assert said in " ".join(ends[0][2].split())
    assert ends[1][1:] == ("", "")


@pytest.mark.slow(2)
def test_a_killed_process_ends_the_others_and_leaves_a_state(start, material, tmp_path):
    jobs = json.dumps({"out": {"max_epochs": 10_000, "patience": 10_000}})
    command = (RUN_DISTRIBUTED, material / "model", material / "corpora", tmp_path, jobs)
    first, second = (start(rank, *command) for rank in range(2))
    state = tmp_path / "out.unfinished" / "state.safetensors"
    while not state.exists() and first.process.is_alive():
        time.sleep(0.05)
    second.process.kill()
    code, _, error = first.end(60)
    assert code == 1
    assert "another process of this run has ended" in error and "--resume continues" in error
    assert any(name.startswith("now/") for name in load_file(state))
