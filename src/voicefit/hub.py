"""Models on the Hugging Face hub: their files, and putting one there."""

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

_PATIENCE = 10.0
"""Seconds in which the hub should answer."""


MINI = "mini"
"""The name of the pre-finetuned checkpoint that comes with Voicefit."""


def locate(source: str | Path) -> str:
    """``source`` as it is, a directory or a hub id; for ``mini``, unless there is such a directory, where it lies."""
    packaged = str(source) == MINI and not Path(source).exists()
    return str(Path(__file__).with_name(MINI)) if packaged else str(source)


def shown_name(source: str | Path) -> str:
    """What to call ``source`` in front of others: a hub id, or a directory's last part, which tells no path."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(str(source))
    except HFValidationError:
        return Path(source).resolve().name
    return Path(source).resolve().name if Path(source).exists() else str(source)


def find_file(source: str | Path, name: str) -> Path | None:
    """The file ``name`` of a directory, or of a repository of the hub if there is no such directory.

    A file of the hub is downloaded once. Without a connection it is found if it was downloaded before.

    Returns:
        the local path, or ``None`` where there is no such file, directory or repository, or no way to know.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    folder = Path(locate(source))
    if folder.exists():
        return folder / name if (folder / name).is_file() else None
    try:
        return Path(hf_hub_download(str(source), name, local_files_only=not _answers_for(str(source))))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError):
        return None


def _answers_for(repository: str) -> bool:
    """Whether the hub can be reached and has the repository; a download would try for half a minute to find out."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(repository, timeout=_PATIENCE)
    except Exception:  # no connection, no such repository: which library says so differs between versions of the hub's
        return False
    return True


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
