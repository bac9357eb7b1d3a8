from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from threadpoolctl import threadpool_info

from voicefit.machine import describe_machine, describe_versions, devices, limit_threads


def test_encoders_run_on_every_gpu_or_on_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices() == ["cuda:0", "cuda:1"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices() == ["cpu"]


def test_the_record_of_a_run_names_versions_and_machine():
    assert describe_versions()["torch"] == torch.__version__
    assert describe_machine()["cores"] >= 1


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
