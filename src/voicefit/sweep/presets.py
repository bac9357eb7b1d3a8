"""The plans that come with Voicefit: their names, their text and what each needs."""

import re
import tomllib
from dataclasses import dataclass
from importlib import resources

from voicefit.errors import VoicefitError
from voicefit.system.settings import unknown_name

_FOLDER = resources.files("voicefit") / "presets"


@dataclass(frozen=True)
class Preset:
    """A plan that comes with Voicefit.

    Attributes:
        name: as ``voicefit sweep --preset`` takes it.
        text: the plan, in TOML.
        about: what it asks, in a sentence: the first of the comment at its head.
        encoders: the plan's name of each encoder → its hub id or directory.
        corpora: the plan's name of each corpus to pre-finetune on → its path.
        targets: likewise of each target.
    """

    name: str
    text: str
    about: str
    encoders: dict[str, str]
    corpora: dict[str, str]
    targets: dict[str, str]

    @property
    def variables(self) -> list[str]:
        """The environment variables that its paths name."""
        paths = [*self.encoders.values(), *self.corpora.values(), *self.targets.values()]
        return sorted({name for path in paths for name in re.findall(r"\$\{?(\w+)", path)})


def preset_names() -> list[str]:
    """List the names of all presets."""
    return sorted(file.name.removesuffix(".toml") for file in _FOLDER.iterdir() if file.name.endswith(".toml"))


def find_preset(name: str) -> Preset:
    """Read a preset, with its paths as they are written.

    Raises:
        VoicefitError: there is none of that name.
    """
    if name not in preset_names():
        raise VoicefitError(unknown_name("preset", name, preset_names()))
    text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    plan = tomllib.loads(text)
    sources = {encoder: entry["source"] for encoder, entry in plan["encoders"].items()}
    return Preset(name, text, _first_sentence(text), sources, plan.get("corpora", {}), plan["targets"])


def _first_sentence(text: str) -> str:
    lines = text.splitlines()
    head = lines[: next((place for place, line in enumerate(lines) if not line.startswith("#")), len(lines))]
    comment = " ".join(line.lstrip("# ") for line in head)
    return re.split(r"(?<=[.?])\s", comment, maxsplit=1)[0]
