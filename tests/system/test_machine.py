from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from threadpoolctl import threadpool_info

from voicefit.system.machine import describe_machine, describe_versions, devices, has_bfloat16, limit_threads


def test_encoders_run_on_every_gpu_or_on_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices() == ["cuda:0", "cuda:1"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices() == ["cpu"]


def test_bfloat16_is_what_hardware_has_itself(monkeypatch):
    ask, processor = has_bfloat16.__wrapped__, torch.device("cpu")
    for machine, there in (("x86_64", True), ("AMD64", False), ("aarch64", True)):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda there=there: there)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda there=there: there)
        assert ask(processor) == there
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not ask(processor)
    for card, capability in enumerate([(8, 0), (7, 5)]):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert ask(torch.device("cuda", card)) == (capability[0] == 8)


def test_the_record_of_a_run_names_versions_and_machine():
    assert describe_versions()["torch"] == torch.__version__
    assert describe_machine()["cores"] >= 1
    assert describe_machine()["bfloat16"] in (True, False)


def test_threads_are_limited_inside_also_for_linear_algebra_and_in_new_threads_and_as_before_afterwards():
    def counts():
        blas = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        with ThreadPoolExecutor(1) as pool:
            return torch.get_num_threads(), pool.submit(torch.get_num_threads).result(), blas

    before = counts()
    with pytest.raises(ZeroDivisionError), limit_threads(1):
        assert counts() == (1, 1, {1})
        raise ZeroDivisionError
    assert counts() == before
