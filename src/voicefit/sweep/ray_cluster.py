"""The Ray cluster that a sweep runs on: joined, or started on this machine, and what each worker may take of it."""

import contextlib
import math
import os
import re
import secrets
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from voicefit.errors import VoicefitError

_OBJECT_STORE_BYTES = 100 * 2**20
"""The shared memory of a cluster that is started here. All it holds is what workers need besides their jobs."""


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Join a Ray cluster, or start one on this machine, for as long as the block lasts.

    A cluster that was joined stays up; so does the connection of a program that had called ``ray.init`` itself.

    Args:
        address: ``HOST:PORT`` of the cluster's head, or ``auto`` for the one that this machine is a node of. ``None``
            is ``$RAY_ADDRESS`` and, where that is not set, a cluster of this machine alone.

    Raises:
        VoicefitError: ``ray`` is not installed, or no cluster answers, or it refuses the connection.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    _check_address(address)
    ray = import_ray(address == "local")
    if ray.is_initialized():
        yield
        return
    own = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES} if address == "local" else {}
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise VoicefitError(f"Ray at {address}: {last_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def import_ray(local: bool) -> Any:
    """Import Ray with the settings that it reads from the environment at its import.

    Its messages about lost workers and nodes would land on standard output. It listens on every address of the machine
    and runs what it is sent: a cluster of our own therefore asks for a token that its processes alone have. Its workers
    have the priority that worker processes have.

    Args:
        local: whether a cluster will be started on this machine.

    Returns:
        the module.

    Raises:
        VoicefitError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "(?s).")
    os.environ.setdefault("RAY_worker_niceness", "0")
    if local and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
    except ImportError as error:
        raise VoicefitError("engine ray needs the library ray: pip install 'voicefit[ray]'") from error
    return ray


def _check_address(address: str) -> None:
    """Refuse an address where nothing listens: Ray itself would try for minutes."""
    if address in ("local", "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or "/" in host:
        raise VoicefitError(f"Ray at {address}: write HOST:PORT, or auto on a node of the cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise VoicefitError(f"Ray at {address}: nobody answers ({error}); is the cluster up?") from error


def share_out(nodes: Sequence[dict[str, Any]], workers: int | None) -> tuple[int, dict[str, Any]]:
    """Share a cluster out among workers.

    Args:
        nodes: as ``ray.nodes()`` lists them.
        workers: how many; ``None`` is one for each GPU or, without GPUs, for each CPU.

    Returns:
        how many workers there are, and how many CPUs (``num_cpus``) and GPUs (``num_gpus``, a part of one where several
        share it) each takes.

    Raises:
        VoicefitError: no node has a CPU to lend.
    """
    resources = [node["Resources"] for node in nodes if node["Alive"]]
    cpus, gpus = ([int(node.get(kind, 0)) for node in resources] for kind in ("CPU", "GPU"))
    if not any(cpus):
        raise VoicefitError("the Ray cluster has no node with a CPU for workers")
    count = workers or sum(gpus) or sum(cpus)
    together = math.ceil(count / sum(gpus)) if any(gpus) else 0  # on a GPU
    room = [gpu * together for gpu in gpus] if together else cpus  # for workers, by node
    fitting = [
        threads
        for threads in range(1, max(cpus) + 1)
        if sum(min(cpu // threads, most) for cpu, most in zip(cpus, room, strict=True)) >= count
    ]
    part = math.floor(10_000 / together) / 10_000 if together else 0  # Ray counts in ten-thousandths
    return count, {"num_cpus": max(fitting, default=1), "num_gpus": part}


def most_on_a_node(nodes: Sequence[dict[str, Any]], count: int, needs: dict[str, Any]) -> int:
    """Return how many workers may share the memory of one node.

    Args:
        nodes: as ``ray.nodes()`` lists them.
        count: how many workers there are.
        needs: what each takes, from :func:`share_out`.
    """
    cpus = max(int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"])
    return max(1, min(count, cpus // needs["num_cpus"]))


def last_line(error: BaseException) -> str:
    """Return the last line of an error of Ray, without the advice."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].partition(" Some common causes")[0].strip()
