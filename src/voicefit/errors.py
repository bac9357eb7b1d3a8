"""The one exception a user of Voicefit sees."""


class VoicefitError(Exception):
    """A mistake in the input or the environment: what was wrong, where, and what to do.

    The command line prints the message alone and exits with code 2.
    """
