"""Running members: one in this process, or all of them as processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from segeval.errors import SegevalError
from segeval.storage.files import write_atomic
from segeval.threads import available_workers
from segeval_baselines.suite.form import Member, Suite
from segeval_baselines.suite.kinds import LABEL_MAPS, Splits
from segeval_baselines.suite.runs import Run, Say

FAILURE = "failure.json"
LOG = "log.txt"
LOCK = ".lock"

# Set for the processes of members: they end when the process that started them is gone.
DRIVEN = "SEGEVAL_SUITE_DRIVEN"

_PAUSE = 0.5


def folder_of(root: Path, member: Member) -> Path:
    """Where a member's files lie."""
    return root / "members" / member.name


def runs_of(suite: Suite, member: Member, root: Path, device: str = "auto") -> list[Run]:
    """A member's runs, one a seed."""
    data = suite.data_of(member)
    splits = Splits(data, root, member.task)
    meets = bool(member.model) and splits.kind.label_maps is not None and LABEL_MAPS in suite.tasks_on(data)
    label_maps = Splits(data, root, LABEL_MAPS) if meets else None
    return [Run(member, seed, splits, root, device, label_maps, suite.any_version) for seed in member.seeds]


def run_member(suite: Suite, member: Member, root: Path, *, device: str = "auto", say: Say = print) -> None:
    """Train, predict and score one member, all its seeds, in this process.

    Another process that runs the same member is waited for.

    Parameters
    ----------
    suite, member
        What.
    root
        The suite's folder.
    device
        Where.
    say
        Told what is being done.

    Raises
    ------
    SegevalError
        If it fails; the reason is also left in the member's folder.
    """
    folder = folder_of(root, member)
    if os.environ.get(DRIVEN):
        _end_with_parent()
    with _alone(folder, say):
        for run in runs_of(suite, member, root, device):
            try:
                run.ensure(say)
            except Exception as error:
                reason = str(error) if isinstance(error, SegevalError) else f"{type(error).__name__}: {error}"
                note_failure(folder, f"seed {run.seed}: {' '.join(reason.split())}")
                raise
        (folder / FAILURE).unlink(missing_ok=True)


def note_failure(folder: Path, reason: str) -> None:
    """Leave the reason of a failure in a member's folder."""
    write_atomic(folder / FAILURE, json.dumps({"reason": reason}, ensure_ascii=False) + "\n")


def failure_of(folder: Path) -> str | None:
    """Why a member failed when it last ran, or None."""
    try:
        return str(json.loads((folder / FAILURE).read_text(encoding="utf-8"))["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """Keep other processes off a member's folder; the lock ends with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # a system without such locks
        yield
        return
    with (folder / LOCK).open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another process that runs this member")
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(stream, fcntl.LOCK_EX)
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


def _end_with_parent() -> None:
    """Stop (training saves first) when standard input closes, as it does when the driver dies."""

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(0, 1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


@dataclass
class _Process:
    """A member's process that is under way."""

    member: Member
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    slot: int
    began: float


def run_members(
    members: Sequence[Member],
    root: Path,
    command: Callable[[Member], list[str]],
    *,
    jobs: int | None = None,
    device: str = "auto",
    say: Say = print,
) -> None:
    """Run members in processes of their own, several at a time, the longest first; a failure stops no other.

    Parameters
    ----------
    members
        Those that are not up to date.
    root
        The suite's folder.
    command
        What runs one member.
    jobs
        At a time: one a GPU, or one a core, if None.
    device
        ``auto``, ``cpu`` or ``cuda``.
    say
        Told what begins and ends.

    Raises
    ------
    KeyboardInterrupt
        After the members' processes were asked to save and have ended.
    """
    gpus = _gpus(device)
    most = max(1, jobs or len(gpus) or available_workers())
    waiting = sorted(members, key=lambda m: -m.seconds * len(m.seeds))
    active: list[_Process] = []
    done = 0
    try:
        while waiting or active:
            while waiting and len(active) < most:
                slot = min(set(range(most)) - {p.slot for p in active})
                active.append(_start(waiting.pop(0), root, command, slot, gpus))
                say(f"{active[-1].member.name}: begun")
            time.sleep(_PAUSE)
            for process in [p for p in active if p.process.poll() is not None]:
                active.remove(process)
                done += 1
                say(f"{_ended(process, root)} ({done} of {len(members)})")
    finally:
        # Also after Ctrl-C: each member saves what it has.
        for process in active:
            process.process.terminate()
        for process in active:
            process.process.wait()
            process.log.close()


def _start(
    member: Member, root: Path, command: Callable[[Member], list[str]], slot: int, gpus: Sequence[str]
) -> _Process:
    folder = folder_of(root, member)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILURE).unlink(missing_ok=True)
    environment = {**os.environ, DRIVEN: "1"}
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    log = (folder / LOG).open("ab")
    # In a session of its own, so that Ctrl-C reaches the driver alone, which then asks each member once to save.
    process = subprocess.Popen(
        command(member),
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    return _Process(member, process, log, slot, time.monotonic())


def _ended(process: _Process, root: Path) -> str:
    """Note why a process failed, and say how it ended."""
    process.log.close()
    if process.process.stdin is not None:
        process.process.stdin.close()
    code, folder = process.process.returncode, folder_of(root, process.member)
    minutes = f"{(time.monotonic() - process.began) / 60:.1f} min"
    if code == 0:
        return f"{process.member.name}: done in {minutes}"
    reason = failure_of(folder)
    if reason is None:
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        reason = f"its process {ended}; see {folder / LOG}"
        note_failure(folder, reason)
    return f"{process.member.name}: failed after {minutes}: {reason}"


def _gpus(device: str) -> list[str]:
    """The GPUs that members may have, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if device == "cpu":
        return []
    import torch

    if not torch.cuda.is_available():
        return []
    named = [d for d in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if d]
    return named or [str(k) for k in range(torch.cuda.device_count())]


def one_thread() -> None:
    """Compute on one thread on the CPU, so that results don't depend on the cores, unless the environment says more."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def run_command(arguments: Sequence[str]) -> list[str]:
    """The command line of this package's own command."""
    return [sys.executable, "-m", "segeval_cli", *arguments]
