"""A graph that cannot be made costs nobody a training."""

import pytest

from support.tiny_models import build_start
from voicefit.encoders.onnx_encoder import GRAPH
from voicefit.errors import VoicefitError
from voicefit.export import encoder as export_encoder


@pytest.mark.parametrize(
    "fault", [ValueError("Message onnx.ModelProto exceeds maximum protobuf size of 2GB"), KeyError()]
)
def test_what_the_exporter_cannot_do_is_told_and_the_checkpoint_stays(tmp_path, monkeypatch, fault):
    def refuse(encoder):
        raise fault

    folder, told = build_start(tmp_path), []
    before = sorted(path.name for path in folder.iterdir())
    monkeypatch.setattr(export_encoder, "encoder_graph", refuse)
    with pytest.raises(VoicefitError, match=r"its ONNX graph cannot be made \(.+\)$"):
        export_encoder.add_graph(folder)
    export_encoder.complete_with_graph(folder, told.append)
    assert len(told) == 1 and told[0].endswith(f"{folder} is whole without it, and needs PyTorch")
    assert sorted(path.name for path in folder.iterdir()) == before and GRAPH not in before
