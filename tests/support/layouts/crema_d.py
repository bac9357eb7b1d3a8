"""A miniature CREMA-D."""

from itertools import count
from pathlib import Path

from support.layouts import write_noise

VOTES = {
    "1001_DFA_ANG_XX": "A",
    "1001_IEO_DIS_LO": "N",
    "1001_IEO_FEA_MD": "D:F",
    "1001_IEO_HAP_HI": "H",
    "1040_ITH_NEU_XX": "S",
    "1040_ITH_SAD_XX": "F",
}
"""Name in the table → vote of the listeners."""


def build_crema_d(root: Path, suffix: str = ".wav", table: str | None = "processedResults") -> Path:
    """Every emotion once, one file named otherwise than in the table, and the table in the folder ``table``."""
    seeds = count()
    rows = ['"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"']
    for number, (stem, vote) in enumerate(VOTES.items(), start=1):
        write_noise(root / "AudioWAV" / f"{stem.replace('SAD_XX', 'SAD_X')}{suffix}", next(seeds))
        rows.append(f'"{number}","{stem}","{vote}","69.1","N","92.22","N","64.78"')
    if table is not None:
        (root / table).mkdir(parents=True)
        (root / table / "summaryTable.csv").write_text("\n".join(rows) + "\n")
    (root / "VideoFlash").mkdir()
    (root / "VideoFlash" / "1001_DFA_ANG_XX.flv").write_bytes(b"FLV")
    return root
