"""A trial and its result, for tests of stores."""

from voicefit.sweep.specs import TrialSpec

SPEC = TrialSpec("tiny", "a+b", "s", "t", "clean", "one-vs-rest", "head", "m", "anna", "anger", 2, 0, 0)
RESULT = {
    "macro_f1": 0.1,
    "accuracy": 1 / 3,
    "balanced_accuracy": 0.5,
    "floor_never": 0.4,
    "floor_coin": 0.45,
    "calibration": [[1, 6], [0.25, 5.5], [0, 4]],
    "confusion": {"labels": ["fear", "joie é"], "counts": [[3, 1], [0, 3]]},
    "support": ["anna/é/1.wav", "anna/b.wav"],
    "test_clips": 7,
    "seconds": 0.25,
    "worker": "host:1",
}
