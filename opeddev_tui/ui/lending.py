"""Owns lending a terminal to another program, such as an editor, while the app's process goes on."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence

# a group of its own in the foreground: Ctrl+C and Ctrl+\ there must not reach the training
_IN_FRONT = (
    "import os,signal,sys;os.setpgid(0,0);signal.signal(signal.SIGTTOU,signal.SIG_IGN);"
    "os.isatty(0) and os.tcsetpgrp(0,os.getpid());os.execvp(sys.argv[1],sys.argv[1:])"
)


async def run_on(descriptor: int, command: Sequence[str]) -> int:
    """Run ``command`` in the foreground of a terminal and return its exit code; it is ended if the waiting is.

    Args:
        descriptor: the controlling terminal of this process, in the modes the program should find.
        command: the program and its arguments; it is looked for on the PATH.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", _IN_FRONT, *command, stdin=descriptor, stdout=descriptor, stderr=descriptor
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        with contextlib.suppress(OSError):
            os.tcsetpgrp(descriptor, os.getpgrp())
