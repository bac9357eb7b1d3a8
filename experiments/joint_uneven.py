"""Few and uneven recordings, with five times the draws of `joint`: is `joint` below `prior` by more than chance?

Whisper tiny.en, one labelled clip an emotion, on the two targets where ten draws left it open.
"""

from typing import Any

import numpy as np
from scipy import stats

from benchmarks.common import parse_options, publish
from experiments.joint import fitted, mostly_neutral, scored, taught_voices, uneven

DRAWS = 50
TARGETS = ("emovo", "ravdess")
RECORDINGS = {"four fifths neutral": mostly_neutral, "uneven": uneven}


def main() -> None:
    """A row for each target and condition: the mean of the speakers' differences, and a t interval over speakers."""
    options = parse_options(__doc__)
    rows: list[dict[str, Any]] = []
    for target, speakers in taught_voices(options.quick):
        if target not in TARGETS:
            continue
        for words, choose in RECORDINGS.items():
            means = []
            for voice in speakers:
                gains = []
                for draw in range(2 if options.quick else DRAWS):
                    episode = voice.episodes.multiclass(len(voice.episodes.labels), draw)
                    if episode is not None:
                        chosen = choose(voice.recordings(episode, draw))
                        prior, joint = (
                            scored(voice, episode, fitted(voice, method, episode, chosen))["macro_f1"]
                            for method in ("prior", "joint")
                        )
                        gains.append(joint - prior)
                means += [np.mean(gains)] if gains else []
            low, high = stats.t.interval(0.95, len(means) - 1, np.mean(means), stats.sem(means))
            rows.append(
                {
                    "target": target,
                    "recordings": words,
                    "speakers": len(means),
                    "joint less prior": f"{np.mean(means):+.3f} [{low:+.3f}, {high:+.3f}]",
                }
            )
    publish(rows, options)


if __name__ == "__main__":
    main()
