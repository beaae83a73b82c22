"""Keep the data loader's workers alive while their training saves, whichever processes a signal was sent to."""

import os
import signal
import threading
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from typing import Any

from torch.utils.data import DataLoader


def outlive_signals(_worker: int) -> None:
    """Have a worker of the data loader ignore what asks its training to save and stop: it ends with it.

    A terminal, SLURM and systemd signal every process. The workers draw no random numbers.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    training = parent_process()
    if training is not None:
        threading.Thread(target=_end_with, args=(training,), name="end with the training", daemon=True).start()


def _end_with(training: BaseProcess) -> None:
    """End this worker when its training has ended, however that happened.

    torch's workers look whether the process that forked them lives. With a fork server that is the server, which
    lives as long as its workers do.
    """
    training.join()
    os._exit(1)


def with_lasting_workers(loader: DataLoader[Any]) -> DataLoader[Any]:
    """Return the Trainer's ``loader``, whose workers outlive signals from now on; accelerate may have wrapped it."""
    getattr(loader, "base_dataloader", loader).worker_init_fn = outlive_signals
    return loader
