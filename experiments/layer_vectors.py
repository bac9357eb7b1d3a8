"""Pooled vectors of real corpora after every layer of an encoder, kept in ``runs/layers``.

No script of its own. What lies in ``runs/layers`` is not computed again, so that a run that was stopped goes on. A clip
runs once through the layers.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.real_data import FOLDERS, folder
from voicefit.corpora import Clip, Corpus, load_corpus
from voicefit.encoders import Encoder, FrontCache, Reading, load_encoder
from voicefit.prefinetuning.prefinetune import cache_corpora
from voicefit.selection.ranking import PooledCorpus
from voicefit.system.files import new_file

KEPT = Path("runs", "layers")
CACHED = 2
"""Frames after so many layers are in the front-end cache: the other experiments read them."""

CHUNK = 200
"""So many clips are kept in a file."""


def layer_vectors(encoder: str, corpora: Sequence[str], depths: Sequence[int] = ()) -> dict[int, list[PooledCorpus]]:
    """Pool corpora after every layer.

    Args:
        encoder: a folder in ``VOICEFIT_MODELS``.
        corpora: names of :data:`experiments.real_data.FOLDERS`.
        depths: only after these layers.

    Returns:
        depth → the corpora with their vectors, in the order given.
    """
    source = folder("VOICEFIT_MODELS") / encoder
    full = load_encoder(source, Reading(frozen_layers=CACHED))
    found: dict[int, list[PooledCorpus]] = {depth: [] for depth in depths or range(1, full.depth + 1)}
    readers = {depth: load_encoder(source, Reading(depth=depth, frozen_layers=depth)) for depth in found}
    for name in corpora:
        corpus, kept = labelled(name), KEPT / encoder / name
        upper = [depth for depth in found if depth > CACHED]
        if upper:
            cache, rest = FrontCache(full), [readers[depth] for depth in upper]
            above = described(
                corpus,
                kept / f"layers{','.join(map(str, upper))}",
                lambda c, f=cache, r=rest: through(full, r, f.frames(c), CACHED),
            )
        for depth in found:
            if depth > CACHED:
                vectors = above[upper.index(depth)]
            else:
                vectors = _kept(kept / f"layer{depth}.npy", lambda c=corpus, d=depth: _lower(readers[d], c))
            found[depth].append(PooledCorpus(corpus, torch.from_numpy(vectors)))
    return found


def labelled(name: str) -> Corpus:
    """A corpus with its labelled clips."""
    return load_corpus(name, folder("VOICEFIT_DATA") / FOLDERS[name]).select(lambda clip: clip.label is not None)


def _kept(path: Path, compute: Callable[[], Tensor]) -> np.ndarray:
    """Read an array from a file, which is computed and written if it is not there."""
    if not path.exists():
        array = compute().numpy()
        with new_file(path) as file:
            np.save(file, array, allow_pickle=False)
    return np.load(path, allow_pickle=False)


def _lower(reader: Encoder, corpus: Corpus) -> Tensor:
    """Vectors ``(clips, hidden_size)`` after layers that are all in the front end."""
    cache = FrontCache(reader)
    _, left_out = cache_corpora(cache, [corpus], lambda *_: None)
    if any(left_out.values()):
        raise SystemExit(f"{corpus.name}: clips that cannot be read: {left_out}")
    return reader.pool(cache.frames(clip) for clip in corpus.clips)


def described(corpus: Corpus, kept: Path, describe: Callable[[Clip], Tensor]) -> np.ndarray:
    """Vectors of all clips, computed and kept chunk by chunk.

    Args:
        corpus: its clips can all be read.
        kept: where the files lie; their names begin so.
        describe: a clip's vectors, ``(readings, size)``.

    Returns:
        ``(readings, clips, size)``.
    """
    found = []
    for start in range(0, len(corpus.clips), CHUNK):
        clips = corpus.clips[start : start + CHUNK]
        path = kept.with_name(f"{kept.name}-{start}.npy")
        found.append(_kept(path, lambda some=clips: torch.stack([describe(clip) for clip in some], dim=1)))
    return np.concatenate(found, axis=1)


def through(full: Encoder, readers: Sequence[Encoder], frames: Tensor, before: int) -> Tensor:
    """Vectors ``(readers, hidden_size)`` of a clip, given as its frames after so many layers."""
    found = []
    for reader in readers:
        frames, before = full.upper_layers(before).lower_layers(reader.depth, frames), reader.depth
        found.append(reader.pool([frames])[0])
    return torch.stack(found)
