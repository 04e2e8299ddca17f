"""The one exception that is a message for the user, not a fault of ours."""


class ZeroscaleError(ValueError):
    """Bad input or a bad environment: says what was wrong, where, and what would be right.

    The command line prints the message without a traceback and exits non-zero.
    """
