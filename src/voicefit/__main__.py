"""``python -m voicefit``: the command line, for launchers that start a module."""

from voicefit.cli.app import main

if __name__ == "__main__":
    main()
