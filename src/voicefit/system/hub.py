"""Models by name: directories, repositories of the Hugging Face hub, and the model that comes with Voicefit."""

from importlib import resources
from pathlib import Path

_HUB_TIMEOUT_S = 10.0
"""The hub counts as not reachable if it has not answered after so many seconds."""

MINI = "mini"
"""The name of the pre-finetuned checkpoint that comes with Voicefit."""


def locate(source: str | Path) -> str:
    """Return ``source``, a directory or a hub id; for ``mini``, the packaged folder, unless ``mini`` is a directory."""
    packaged = str(source) == MINI and not Path(source).exists()
    return str(resources.files("voicefit") / MINI) if packaged else str(source)


def shown_name(source: str | Path) -> str:
    """Return a name of ``source`` to publish: a hub id, or the last part of a directory, without its path."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(str(source))
    except HFValidationError:
        return Path(source).resolve().name
    return Path(source).resolve().name if Path(source).exists() else str(source)


def find_file(source: str | Path, name: str) -> Path | None:
    """Find the file ``name`` in a directory, or in a repository of the hub if there is no such directory.

    A file of the hub is downloaded once. Without a connection, the downloaded copy is used.

    Returns:
        the local path, or ``None`` without such a file, directory or repository, or without a connection to ask.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    folder = Path(locate(source))
    if folder.exists():
        return folder / name if (folder / name).is_file() else None
    try:
        return Path(hf_hub_download(str(source), name, local_files_only=not _is_reachable(str(source))))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError):
        return None


def _is_reachable(repository: str) -> bool:
    """Report whether the hub can be reached and has the repository; a download would try for half a minute first."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(repository, timeout=_HUB_TIMEOUT_S)
    except Exception:  # no connection, or no repository: the library that raises differs between versions
        return False
    return True
