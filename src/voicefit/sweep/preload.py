"""What the process imports that workers are forks of."""

import signal
import sys

sys.path[:] = [folder for folder in sys.path if folder]  # up to Python 3.12 it looks in the working directory first

from voicefit.system.heap import importing  # noqa: E402

# The fork server ignores Ctrl-C only after its imports; until then it would print a traceback beside ours.
_before = signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    with importing():
        import sklearn.linear_model  # noqa: F401

        import voicefit.sweep.trial_jobs  # noqa: F401
finally:
    signal.signal(signal.SIGINT, _before)
