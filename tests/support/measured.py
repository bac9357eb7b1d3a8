"""The command line, which at its end prints the peak of its memory in bytes as the last line of its errors."""

import resource
import sys

from voicefit.cli.app import main

if __name__ == "__main__":
    try:
        main()
    finally:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
