"""The exception whose message is meant for the user."""


class ZeroscaleError(ValueError):
    """Bad input or a bad environment: the message says what is wrong, where, and what would be right.

    The command line prints the message without a traceback and exits non-zero.
    """
