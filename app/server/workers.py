"""Several worker processes behind one socket."""

import multiprocessing
import os
import signal

from uvicorn.supervisors import Multiprocess


class WorkerSupervisor(Multiprocess):
    """uvicorn's supervisor, which starts a worker anew when it dies or hangs."""

    def handle_hup(self) -> None:
        """Have every worker reload.

        uvicorn would put new workers in their place, and these would find a bad checkpoint
        where the old ones still have a good one.
        """
        for process in self.processes:
            # Before it serves, the signal would end it.
            if process.wait_until_ready(self.config.timeout_worker_healthcheck, self.should_exit):
                os.kill(process.pid or 0, signal.SIGHUP)

    def terminate_all(self) -> None:
        """Have every worker drain."""
        super().terminate_all()
        # Workers listen on their own copies. With this one open still, connections would be
        # taken after the last worker has closed, and nobody would accept them.
        for socket in self.sockets:
            socket.close()


def broadcast_reload() -> None:
    """Have all workers reload, where there are several; called in one of them."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None and parent.is_alive():
        os.kill(parent.pid, signal.SIGHUP)
