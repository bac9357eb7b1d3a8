import torch

from voicefit.machine import describe_machine, describe_versions, devices


def test_encoders_run_on_every_gpu_or_on_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices() == ["cuda:0", "cuda:1"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices() == ["cpu"]


def test_the_record_of_a_run_names_versions_and_machine():
    assert describe_versions()["torch"] == torch.__version__
    assert describe_machine()["cores"] >= 1
