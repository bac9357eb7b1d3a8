"""Voicefit fits a speech emotion classifier to a new voice from as few as two labelled clips."""

__version__ = "0.1.0"
