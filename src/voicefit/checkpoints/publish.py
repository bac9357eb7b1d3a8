"""Putting a checkpoint or an adapted model on the Hugging Face hub."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voicefit.checkpoints.adapted import make_whole
from voicefit.checkpoints.record import CONFIG, HEAD, RECORD, WEIGHTS
from voicefit.errors import VoicefitError
from voicefit.system.extras import require

PUBLISHED = (
    "README.md",
    "adapter/adapter_config.json",
    "adapter/adapter_model.safetensors",
    "config.json",
    "curves.png",
    "encoder.onnx",
    "history.csv",
    "model.safetensors",
    "preprocessor_config.json",
    "prior.safetensors",
    "voicefit.json",
)
"""The files of a checkpoint or an adapted model that :func:`push` sends; whatever else lies beside them stays."""


def push(folder: str | Path, repository: str, *, public: bool = False) -> str:
    """Put a pre-finetuned checkpoint or an adapted model on the hub, in a repository that is made where there is none.

    Args:
        folder: the directory that ``prefinetune`` or ``adapt`` wrote.
        repository: as ``name/model``.
        public: let everybody see a repository that is made here; one that exists stays as it is.

    Returns:
        the address of the repository.

    Raises:
        VoicefitError: ``folder`` holds no model of Voicefit, there is no token, the name is not one of a repository,
            or the hub cannot be reached or refuses.
    """
    require("hub", "push sends a model to the hub")
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HFValidationError

    folder = Path(folder)
    is_small = (folder / HEAD).is_file()
    needed = (RECORD,) if is_small else (RECORD, CONFIG, WEIGHTS)
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise VoicefitError(
            f"{folder}: has no {missing[0]}; give what `voicefit prefinetune` or `voicefit adapt` wrote"
        )
    if get_token() is None:
        raise VoicefitError("push: the hub wants a token that may write; run `hf auth login`, or set HF_TOKEN")
    hub = HfApi()
    try:
        with _whole(folder, is_small) as sent:
            address = hub.create_repo(repository, private=not public, exist_ok=True)
            hub.upload_folder(repo_id=repository, folder_path=sent, allow_patterns=list(PUBLISHED))
    except VoicefitError:
        raise
    except HFValidationError as error:
        raise VoicefitError(f"push: {repository!r} is no name of a repository; give one as name/model") from error
    except Exception as error:  # as above
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise VoicefitError(f"push: the hub cannot be reached or refuses ({reason})") from error
    return str(address)


@contextmanager
def _whole(folder: Path, is_small: bool) -> Iterator[Path]:
    """A model's directory; of a small model, a whole one that is there for the time of the block."""
    if not is_small:
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        make_whole(folder, Path(name) / "model")
        yield Path(name) / "model"
