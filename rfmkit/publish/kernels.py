"""Kernels that are ours alone: this interpreter, private sockets, nobody's startup files, none left behind."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from rfmkit.publish.temporary import remove, short_temp

_PACKAGE_PARENT = Path(__file__).parent.parent.parent


@contextmanager
def private_kernels(environment: Mapping[str, str] | None = None) -> Iterator[type[AsyncKernelManager]]:
    """Give a class of kernel managers for one notebook, and see to it that no kernel outlives the block.

    Kernels run this process's own interpreter whatever kernels are installed, import the same rfmkit, and talk through
    sockets in a folder that only this user can open: ports, which parallel runs would fight for, are not used where
    the system has such sockets. IPython's profile is an empty folder, so nobody's startup files take part.

    Parameters
    ----------
    environment : mapping, optional
        What the kernels find in their environment besides what this process has in its own.
    """
    folder = Path(tempfile.mkdtemp(prefix="rfmkit-", dir=short_temp()))
    managers: list[AsyncKernelManager] = []

    class PrivateKernel(AsyncKernelManager):
        @default("transport")
        def _default_transport(self) -> str:
            return "ipc" if os.name == "posix" else "tcp"

        @default("connection_file")
        def _default_connection_file(self) -> str:
            return str(folder / "kernel.json")

        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            # The clinic file's folder is the working directory: a stray pandas.py there must not be imported.
            argv += ["--IPKernelApp.ignore_cwd=True", "--HistoryManager.enabled=False"]
            return KernelSpec(argv=argv, display_name="rfmkit", language="python")

        async def start_kernel(self, **options) -> None:
            managers.append(self)
            await super().start_kernel(**options, env=_environment(folder, environment or {}))

        async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
            # Nothing in a kernel is worth waiting for: all that counts has been sent.
            await super().shutdown_kernel(now=True, restart=restart)

    try:
        yield PrivateKernel
    finally:
        for manager in managers:
            if manager.provisioner is not None and manager.provisioner.pid:
                _end_group(manager.provisioner.pid)
        remove(folder)


def _environment(folder: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a kernel: ours, with rfmkit importable and IPython's own files out of the way."""
    path = [str(_PACKAGE_PARENT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, path))),
        "PYTHONUNBUFFERED": "1",
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLBACKEND": "agg",
        **given,
    }


def _end_group(pid: int) -> None:
    """End a kernel's process group: the kernel, if it still runs, and whatever it started."""
    if os.name != "posix":
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
