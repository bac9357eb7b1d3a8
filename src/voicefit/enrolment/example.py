"""The clips that come with Voicefit, to try it with: a synthetic voice in four emotions."""

import shutil
from importlib import resources
from pathlib import Path

from voicefit.system.files import new_directory

_PACKAGED = "example"


def write_example(out: str | Path) -> Path:
    """Write the clips that come with Voicefit: some with labels, some without, and one to predict.

    Args:
        out: the folder to make. Its README says what is in it, and where it comes from.

    Raises:
        VoicefitError: ``out`` exists already.
    """
    packaged = Path(str(resources.files("voicefit") / _PACKAGED))
    with new_directory(Path(out)) as folder:
        shutil.copytree(packaged, folder, dirs_exist_ok=True)
    return Path(out)
