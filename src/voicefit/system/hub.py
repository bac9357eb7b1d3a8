"""Models by name: directories, repositories of the Hugging Face hub, and the one that comes with Voicefit."""

from importlib import resources
from pathlib import Path

_PATIENCE = 10.0
"""Seconds in which the hub should answer."""


MINI = "mini"
"""The name of the pre-finetuned checkpoint that comes with Voicefit."""


def locate(source: str | Path) -> str:
    """``source`` as it is, a directory or a hub id; for ``mini``, unless there is such a directory, where it lies."""
    packaged = str(source) == MINI and not Path(source).exists()
    return str(resources.files("voicefit") / MINI) if packaged else str(source)


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
