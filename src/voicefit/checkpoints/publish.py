"""Putting a checkpoint or an adapted model on the Hugging Face hub."""

from pathlib import Path

from voicefit.errors import VoicefitError

PUBLISHED = (
    "README.md",
    "adapter/adapter_config.json",
    "adapter/adapter_model.safetensors",
    "config.json",
    "curves.png",
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
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HFValidationError

    folder = Path(folder)
    missing = [name for name in ("voicefit.json", "config.json", "model.safetensors") if not (folder / name).is_file()]
    if missing:
        raise VoicefitError(
            f"{folder}: has no {missing[0]}; give what `voicefit prefinetune` or `voicefit adapt` wrote"
        )
    if get_token() is None:
        raise VoicefitError("push: the hub wants a token that may write; run `hf auth login`, or set HF_TOKEN")
    hub = HfApi()
    try:
        address = hub.create_repo(repository, private=not public, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=folder, allow_patterns=list(PUBLISHED))
    except HFValidationError as error:
        raise VoicefitError(f"push: {repository!r} is no name of a repository; give one as name/model") from error
    except Exception as error:  # as above
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise VoicefitError(f"push: the hub cannot be reached or refuses ({reason})") from error
    return str(address)
