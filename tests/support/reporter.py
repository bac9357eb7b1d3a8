"""Workers that do nothing but say what they see."""

import os


class Reporter:
    """Stands for an encoder and its trials, and for the place where they are."""

    devices = ("cpu",)

    def runner(self, device):
        return self

    def run(self, group):
        for task in group:
            yield task, {"parent": os.getppid(), "word": os.environ.get("WORD")}
