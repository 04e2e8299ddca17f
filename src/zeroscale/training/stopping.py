"""How a run leaves before its end; known without Lightning, for the worker asks at once."""


class Stopped(SystemExit):
    """SIGTERM came; the checkpoint of the last whole step is on the disk."""

    def __init__(self, step: int) -> None:
        super().__init__(0)
        self.step = step
