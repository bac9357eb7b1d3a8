"""The lock of a run directory: one sweep writes at a time, on this machine or on another that sees the folder.

The lock is a file, since many network file systems have no other lock that can be trusted. It says who holds it. Its
holder touches it every few seconds. A holder on this machine is dead when its process is; one on another machine, when
the file has not been touched for a while by the clock of the one who looks: times of different clocks are never
compared, so that a clock that jumps does no harm.
"""

import contextlib
import getpass
import json
import os
import platform
import random
import re
import shlex
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from voicefit.errors import VoicefitError
from voicefit.system.progress import Notify, silent

LOCK = ".lock"
"""The name of the lock in a run directory; files that begin with it belong to it."""

BEAT_S = 10.0
"""A holder touches its lock this often."""

GRACE_S = 60.0
"""A holder on another machine is taken for dead when it has not touched its lock for this long."""

_POLL_S = 0.1
"""Whoever waits looks this often at most."""

_TOKEN = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        token: stands for this holding alone.
        host: name of the machine.
        machine: stands for the machine since it was last started, and for the process's view of other processes.
        pid: the process.
        process_start: tells the process from a later one of the same number; empty where that is not known.
        user: who started it.
        command: the command line.
        since: when it began, UTC.
    """

    token: str
    host: str
    machine: str
    pid: int
    process_start: str
    user: str
    command: str
    since: str

    @classmethod
    def this_process(cls) -> "Holder":
        """Return this process as a new holder."""
        return cls(
            token=uuid.uuid4().hex,
            host=platform.node(),
            machine=_machine(),
            pid=os.getpid(),
            process_start=_process_start(os.getpid()) or "",
            user=_user(),
            command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])[:500],
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def __str__(self) -> str:
        """The holder as messages name it."""
        return f"process {self.pid} of {self.user} on {self.host}, since {self.since} ({self.command})"

    def is_sound(self) -> bool:
        """Return whether this may have been written by a sweep: a file's name is made of the token."""
        is_token = isinstance(self.token, str) and _TOKEN.fullmatch(self.token)
        return bool(is_token) and isinstance(self.pid, int) and 0 < self.pid < 2**31

    def is_here(self) -> bool:
        """Return whether the holder is a process that this one can look at."""
        return self.machine == _machine()

    def is_alive_here(self) -> bool:
        """Return whether the process of a holder on this machine still runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # it belongs to somebody else
            pass
        return not self.process_start or _process_start(self.pid) in (self.process_start, None)


class _Watched(NamedTuple):
    """What was seen of a lock, and since when by this process's own clock."""

    holder: str
    touched: int
    since: float


class RunLock:
    """A lock on a run directory.

    Args:
        folder: the run directory, which is there.
    """

    def __init__(self, folder: Path):
        self._folder, self._path = folder, folder / LOCK
        self._me = Holder.this_process()
        self._ended = threading.Event()
        self._lost = ""
        self._watched: _Watched | None = None
        self._claims: dict[Path, float] = {}

    @contextlib.contextmanager
    def held(self, wait: bool = False, notify: Notify = silent) -> Iterator["RunLock"]:
        """Hold the lock while the block runs.

        Args:
            wait: wait for as long as another sweep holds it; otherwise it is refused.
            notify: called with a line about whom it waits for, or whose lock it has freed.

        Raises:
            VoicefitError: another sweep holds it, or the folder cannot be written to.
        """
        self._acquire(wait, notify)
        beating = threading.Thread(target=self._beat, daemon=True)
        beating.start()
        try:
            yield self
        finally:
            self._ended.set()
            beating.join()
            holder = self._read()
            if isinstance(holder, Holder) and holder.token == self._me.token:
                self._path.unlink(missing_ok=True)

    def check(self) -> None:
        """Refuse to write on once the lock is no longer held, as after a pause of the machine.

        Raises:
            VoicefitError: somebody else has it, or has removed it.
        """
        if self._lost:
            raise VoicefitError(f"{self._folder}: {self._lost}; this sweep ends, and finished trials are kept")

    def _acquire(self, wait: bool, notify: Notify) -> None:
        told, pause = False, 0.001
        while not self._create():
            holder = self._read()
            if holder is None:  # it was given up just now
                continue
            lives = self._lives(holder)
            if lives is False:
                if self._free(holder):
                    notify(f"{self._folder}: freed the lock of a sweep that is no more: {holder}")
                continue
            if lives and not wait:
                raise VoicefitError(
                    f"{self._folder}: another sweep is at work here: {holder}; add --wait to go on after it, choose "
                    "another --out, or share its work: run a --shard in another --out, and `voicefit merge` the two"
                )
            if not told:
                told = True
                what = "waiting for" if wait else f"looking for up to {GRACE_S:.0f} s whether it is still at work:"
                notify(f"{self._folder}: {what} {holder}")
            pause = min(_POLL_S, pause * 2)
            time.sleep(pause * random.uniform(0.5, 1))

    def _create(self) -> bool:
        """Make the lock file whole or not at all; return whether it was not there."""
        if self._path.exists():
            return False
        building = self._folder / f"{LOCK}-{self._me.token}"
        text = json.dumps(asdict(self._me), ensure_ascii=False).encode()
        try:
            building.write_bytes(text)
            try:
                os.link(building, self._path)
            except FileExistsError:
                return False
            except OSError:  # a file system without links
                return self._create_without_links(text)
            return True
        except OSError as error:
            raise VoicefitError(f"{self._folder}: cannot be written to ({error.strerror or error})") from error
        finally:
            with contextlib.suppress(OSError):
                building.unlink(missing_ok=True)

    def _create_without_links(self, text: bytes) -> bool:
        try:
            with self._path.open("xb") as file:
                file.write(text)
        except FileExistsError:
            return False
        return True

    def _read(self) -> "Holder | str | None":
        """Return who holds the lock, ``None`` if nobody does, or words where the file does not say."""
        try:
            holder = Holder(**json.loads(self._path.read_bytes()))
            if holder.is_sound():
                return holder
        except FileNotFoundError:
            return None
        except (OSError, TypeError, ValueError):
            pass
        return "somebody whose lock cannot be read"

    def _lives(self, holder: "Holder | str") -> bool | None:
        """Return whether a holder lives, ``None`` while that cannot be known yet."""
        if isinstance(holder, Holder) and holder.is_here():
            return holder.is_alive_here()
        try:
            stat = self._path.stat()
        except OSError:
            return None
        last, self._watched = self._watched, _Watched(str(holder), stat.st_mtime_ns, time.monotonic())
        if last is None or last.holder != str(holder):
            return None
        if last.touched != stat.st_mtime_ns:
            return True
        self._watched = last
        return False if time.monotonic() - last.since > GRACE_S else None

    def _free(self, holder: "Holder | str") -> bool:
        """Remove the lock of a dead holder, unless another process is about to; return whether it was removed."""
        token = holder.token if isinstance(holder, Holder) else "unreadable"
        claim = self._folder / f"{LOCK}-{token}.dead"
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            if time.monotonic() - self._claims.setdefault(claim, time.monotonic()) > GRACE_S:
                claim.unlink(missing_ok=True)  # of one who died between the two steps
            time.sleep(0.01)
            return False
        except OSError as error:
            raise VoicefitError(f"{self._folder}: cannot be written to ({error.strerror or error})") from error
        try:
            is_same = str(self._read()) == str(holder)
            if is_same:
                self._path.unlink(missing_ok=True)
                (self._folder / f"{LOCK}-{token}").unlink(missing_ok=True)
            return is_same
        finally:
            claim.unlink(missing_ok=True)

    def _beat(self) -> None:
        """Touch the lock until the end, and notice when it is no longer this process's."""
        last = time.monotonic()
        while not self._ended.wait(BEAT_S):
            holder = self._read()
            if holder is None:
                self._lost = "its lock was removed"
            elif isinstance(holder, Holder) and holder.token != self._me.token:
                self._lost = f"its lock was taken over, as this sweep had stood still: {holder}"
            else:
                with contextlib.suppress(OSError):
                    os.utime(self._path)
                    last = time.monotonic()
                if time.monotonic() - last > GRACE_S:
                    self._lost = f"its lock could not be touched for {GRACE_S:.0f} s"
            if self._lost:
                return


def _machine() -> str:
    """Stand for this machine since its start, and for the processes that can be seen from here."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()} {boot} {os.readlink('/proc/self/ns/pid')}"
    return platform.node()


def _process_start(pid: int) -> str | None:
    """Return when a process began, in the system's own count; empty for one that has ended, ``None`` if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else None
    except OSError:
        return None
    return "" if fields[0] in "ZX" else fields[19]  # a zombie has ended


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid())
