"""The encoder of a whole model that `transformers` loads, for models without an ONNX graph."""

from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from voicefit.audio import SAMPLE_RATE
from voicefit.encoders.families import lengthen
from voicefit.encoders.load import quiet_transformers
from voicefit.errors import VoicefitError
from voicefit.heads.head import Head
from voicefit.system.hub import Located


class TransformersEncoder:
    """A `transformers` audio classifier up to its projector.

    Attributes:
        model: the whole classifier, in evaluation mode.
        feature_extractor: what it reads is made by this.
        max_seconds: longer clips are cut to this.
    """

    def __init__(self, model: Any, feature_extractor: Any, max_seconds: float):
        self.model, self.feature_extractor, self.max_seconds = model.eval(), feature_extractor, max_seconds

    @property
    def hidden_size(self) -> int:
        """The width of a pooled vector."""
        return self.model.config.hidden_size

    @property
    def head(self) -> Head:
        """The model's own projector and classifier."""
        layers = (self.model.projector, self.model.classifier)
        return Head(*(p.detach().numpy().copy() for layer in layers for p in (layer.weight, layer.bias)))

    @property
    def labels(self) -> list[str]:
        """In the order of the head's logits."""
        return [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]

    @torch.no_grad()
    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return the pooled vector ``(hidden_size,)`` of one clip, a waveform ``(samples,)`` at 16 kHz."""
        cut = lengthen(waveform[: int(self.max_seconds * SAMPLE_RATE)], self.model.config)
        inputs = self.feature_extractor(cut, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        inputs.pop("attention_mask", None)  # one clip alone has no padding
        seen: list[torch.Tensor] = []
        hook = self.model.projector.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            self.model(**inputs)
        finally:
            hook.remove()
        return seen[0].mean(1)[0].numpy()


def load_transformers_encoder(located: Located, max_seconds: float) -> TransformersEncoder:
    """Load a whole model.

    Raises:
        VoicefitError: `transformers` cannot load it.
    """
    try:
        with quiet_transformers():
            model = AutoModelForAudioClassification.from_pretrained(
                located.weights(), use_safetensors=True, dtype=torch.float32
            )
            extractor = AutoFeatureExtractor.from_pretrained(str(located.folder))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise VoicefitError(f"{located.name}: cannot be loaded as a model ({str(error).splitlines()[0]})") from error
    return TransformersEncoder(model, extractor, max_seconds)
