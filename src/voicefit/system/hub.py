"""Models by name: directories, repositories of the Hugging Face hub, and the model that comes with Voicefit."""

import difflib
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from voicefit.errors import VoicefitError
from voicefit.system.extras import require
from voicefit.system.files import nearest_folder

MINI = "mini"
"""The name of the pre-finetuned checkpoint that comes with Voicefit."""

_SMALL_FILES = [
    "config.json",
    "encoder.onnx",
    "head.safetensors",
    "preprocessor_config.json",
    "prior.safetensors",
    "processor_config.json",
    "voicefit.json",
]
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}")
"""The names of repositories of the hub: their owner's, and their own."""

_WEIGHTS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]


@dataclass(frozen=True)
class Located:
    """Where a model is.

    Attributes:
        name: the directory or hub id, as it was given.
        folder: the directory on this machine; for a hub id, the client's snapshot, which may lack the weights. ``None``
            where there is neither a directory nor a repository, or no way to know.
        on_hub: whether ``name`` is a hub id.
    """

    name: str
    folder: Path | None
    on_hub: bool = False

    def file(self, name: str) -> Path | None:
        """Return the path of one of the model's files, or ``None`` where it has none of that name."""
        path = self.folder / name if self.folder else None
        return path if path and path.is_file() else None

    def weights(self) -> str:
        """Return what `transformers` should load: the directory, with the weights downloaded into it.

        A repository without safetensors keeps its hub id, since `transformers` asks the hub for converted weights.
        """
        if self.folder is None or not self.on_hub:
            return str(self.folder or self.name)
        _download(self.name, self.folder.name, _WEIGHTS)
        return str(self.folder) if any(self.folder.glob("*.safetensors")) else self.name


def locate(source: str | Path | Located) -> Located:
    """Find a model: a directory, ``mini`` or a hub id. The hub is asked once, for the commit that it has.

    Everything but the weights for PyTorch is downloaded, once for each commit. Without a connection, what was
    downloaded before is taken.

    Args:
        source: a directory, ``mini``, a hub id, or what this function returned.

    Raises:
        VoicefitError: ``source`` is not there, and no hub id by its form; or the hub's client is not installed.
    """
    if isinstance(source, Located):
        return source
    name, path = str(source), Path(source)
    if path.exists():
        return Located(name, path if path.is_dir() else None)
    if name == MINI:
        return Located(name, Path(str(resources.files("voicefit") / MINI)))
    if not _HUB_ID.fullmatch(name):
        raise VoicefitError(f"{name}: no such folder{meant(name)}. A model of the hub is named as owner/name")
    return Located(name, _download(name, "main", _SMALL_FILES), on_hub=True)


def meant(name: str) -> str:
    """A question for who has mistyped a path: what is spelt alike, in brackets; empty where it or nothing is there."""
    if Path(name).exists():
        return ""
    near = nearest_folder(Path(name)) or next(iter(difflib.get_close_matches(name, [MINI])), None)
    return f" (did you mean {near}?)" if near else ""


def _download(repository: str, revision: str, patterns: list[str]) -> Path | None:
    """Return the client's snapshot of a repository with the files that match, or ``None`` where it cannot be had.

    A revision that is a commit is not looked up again.
    """
    require("hub", f"{repository}: is no folder here{meant(repository)}, and is looked for on the hub")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    from tqdm import tqdm

    class WeightsBar(tqdm):
        """A bar for the weights alone: small files need none."""

        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **{**options, "disable": patterns is _SMALL_FILES or options.get("disable")})

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns, tqdm_class=WeightsBar))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError):
        return None


def shown_name(source: str | Path) -> str:
    """Return what to call ``source`` in front of others: a hub id, or a directory's last part, which shows no path."""
    if _HUB_ID.fullmatch(str(source)) and not Path(source).exists():
        return str(source)
    return Path(source).resolve().name
