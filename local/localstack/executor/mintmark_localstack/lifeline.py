"""Ends a process with the one that started it, whatever killed that one."""

import os
import signal
import threading


def end_with_starter() -> None:
    """Kills this process's group at the end of file of standard input: a pipe whose other end only the starter holds and
    never writes to. What inherits standard input (LocalStack's children do) shares the lifeline.

    The process must lead its group.
    """
    threading.Thread(target=_watch, name="lifeline", daemon=True).start()


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)
