"""Recordings without labels: a file, a folder, or a table whose labels are not looked at."""

import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path

from voicefit.audio import find_audio
from voicefit.audio.find import printable
from voicefit.corpora.corpus import Clip
from voicefit.corpora.left_out import Account
from voicefit.corpora.table import is_table, load_recording_rows
from voicefit.errors import VoicefitError


@dataclass(frozen=True)
class Recordings:
    """Recordings whose labels are not known, or not looked at.

    Attributes:
        name: what was given, for messages.
        clips: one per recording, without a label; those that cannot be read are among them.
        account: what was given beside them, and is not used.
    """

    name: str
    clips: list[Clip]
    account: Account

    def by_speaker(self) -> dict[str, "Recordings"]:
        """Return speaker → recordings, as a table names them.

        Raises:
            VoicefitError: a recording has no speaker.
        """
        nobody = next((clip.id for clip in self.clips if not clip.speaker), None)
        if nobody is not None:
            raise VoicefitError(f"{self.name}: {nobody} has no speaker; name one in each row, in a column speaker")
        speakers = sorted({clip.speaker for clip in self.clips})
        return {
            name: replace(self, clips=[clip for clip in self.clips if clip.speaker == name], account=Account())
            for name in speakers
        }


def load_recordings(path: str | Path, channel: int | None = None) -> Recordings:
    """List the recordings of a file, a folder or a table.

    Args:
        path: the file, folder or table. A table needs no labels.
        channel: the number of the one channel to take of each recording, from 1, unless a table names one.

    Raises:
        VoicefitError: there is nothing, no recording, or the table is wrong.
    """
    path, account = Path(path).expanduser(), Account()
    if path.is_file() and is_table(path):
        clips = [replace(clip, channel=clip.channel or channel) for clip in load_recording_rows(path, account)]
        if not clips:
            raise VoicefitError(f"{path}: names no recording")
    else:
        clips = [Clip(printable(file), file, "", None, channel=channel) for file in find_audio([path])]
    return Recordings(str(path), clips, account)


def same_name(name: str) -> str:
    """A name as tables have it: a Mac and others write its letters differently."""
    return unicodedata.normalize("NFC", name)
