"""Starting the engine's process, telling it how many users there are, hearing its blocks, and writing the run.

Works the same in a process that Locust has patched and in one that it has not: everything goes over pipes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from argparse import Namespace
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from harness.discovery import Loaded
from harness.errors import NotMeasurableError, ScenarioFailedError, UsageError
from harness.load import results
from harness.load.protocol import Block, LoadJob, Order, Report
from harness.measure import machine
from harness.measure.clock import utc_now
from harness.measure.cores import Cores
from harness.measure.processes import end, environment, events
from harness.measure.protocol import Failed, Job, Ready, encode_paths
from harness.measure.serving import served
from harness.measure.workplace import git_commit
from harness.record import Run, Settings
from harness.run_file import SCHEMA_VERSION, write_run, write_samples
from harness.scenario import Setting

BLOCK_S = 0.25
STOP_S = 30.0
"""How long the engine may take to finish the block under way."""

_decoder = msgspec.json.Decoder(Report)


@dataclass
class Supervisor:
    """One engine process and the data it runs on. `index` numbers the supervisors of a distributed run, for their seeds."""

    scenarios: Sequence[Loaded]
    engine: str
    size: str
    seed: int
    index: int = 0
    rtt_ms: float = 0.0
    failed: str | None = None
    datasets: dict[str, dict[str, str | int]] = field(default_factory=dict)
    _heard: deque[Block] = field(default_factory=deque)
    _folder: Path | None = None
    _servers: ExitStack = field(default_factory=ExitStack)
    _child: subprocess.Popen[bytes] | None = None
    _reader: threading.Thread | None = None
    _users: int = 0

    def start(self) -> None:
        """Prepare every scenario's data, start the engine and wait until it is ready.

        Raises:
            ScenarioFailedError: preparing failed, or the arms do not agree.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="harness-load-"))
        try:
            settings = [self._prepare(loaded, self._folder) for loaded in self.scenarios]
            self._launch(LoadJob([str(s.file) for s in self.scenarios], settings, BLOCK_S))
        except BaseException:
            self.close()
            raise

    def users(self, number: int) -> None:
        """Tell the engine how many virtual users there are from its next cycle on."""
        if number != self._users and self._order(Order(number)):
            self._users = number

    def blocks(self) -> list[Block]:
        """Return the blocks heard since the last call."""
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def stop(self) -> None:
        """Let the engine finish its block, and hear the rest."""
        self._order(Order(None))
        if self._reader is not None:
            self._reader.join(STOP_S)

    def close(self) -> None:
        """End the engine's process and remove its data."""
        if self._child is not None:
            end(self._child)
        self._servers.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _prepare(self, loaded: Loaded, space: Path) -> Setting:
        folder, shared = space / loaded.name, space / f"shared-{self.engine}"
        folder.mkdir()
        shared.mkdir(exist_ok=True)
        wanted = Setting(folder, shared, self.engine, self.size, 1.0, self.seed, self.rtt_ms, quick=True, stream=1000 * self.index)
        try:
            setting = served(loaded.scenario, wanted, self._servers)
        except NotMeasurableError as reason:
            raise UsageError(f"{loaded.name} does not run here: {reason}; choose scenarios with --class-picker") from reason
        for event in events(Job("prepare", loaded.file, setting)):
            if isinstance(event, Failed):
                raise ScenarioFailedError(f"{loaded.name}: {event.message}")
            if isinstance(event, Ready):
                self.datasets[loaded.name] = event.dataset
        return setting

    def _launch(self, job: LoadJob) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "harness.load.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(msgspec.json.encode(job, enc_hook=encode_paths) + b"\n")
        self._child.stdin.flush()
        first = self._child.stdout.readline()
        report = _decoder.decode(first) if first else Report(failed="the engine process ended without a word")
        if report.failed:
            raise ScenarioFailedError(report.failed)
        self._reader = threading.Thread(target=self._read, args=(self._child,), daemon=True)
        self._reader.start()

    def _read(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            report = _decoder.decode(line)
            if report.block is not None:
                self._heard.append(report.block)
            elif report.failed:
                self.failed = report.failed

    def _order(self, order: Order) -> bool:
        if self._child is None or self._child.stdin is None:
            return False
        try:
            self._child.stdin.write(msgspec.json.encode(order) + b"\n")
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError):
            self.failed = self.failed or "the engine process ended in mid-run"
            return False
        return True


def write(
    scenarios: Sequence[Loaded],
    blocks: Mapping[int, Sequence[Block]],
    options: Namespace,
    datasets: Mapping[str, dict[str, str | int]],
    started_at: datetime,
) -> tuple[Path, Run]:
    """Write a load run from its blocks and return its folder and the record. `options` are the supervisor's command line.

    Raises:
        UsageError: the folder cannot be written.
    """
    commit, dirty = git_commit()
    now = utc_now()
    out = Path(options.out) if options.out else Path("runs") / f"{now:%Y%m%dT%H%M%SZ}-{commit or 'nocommit'}-load"
    rtts_ms = [float(options.rtt)]
    settings = Settings(
        [options.engine], options.size, int(options.seed), rtts_ms, quick=False, processes=len(blocks), budget_s=0.0
    )
    found = []
    for loaded in scenarios:
        file = f"samples/{loaded.name}-{options.engine}.csv"
        found.append(results.result(loaded, options.engine, rtts_ms[0], datasets.get(loaded.name, {}), blocks, file))
        if found[-1].samples_file:
            write_samples(results.samples(blocks, loaded.name), out / file)
    most_users = max((b.users for process in blocks.values() for b in process), default=0)
    record = Run(
        schema_version=SCHEMA_VERSION,
        kind="load",
        name=out.name,
        started_at=started_at.isoformat(timespec="seconds"),
        finished_at=now.isoformat(timespec="seconds"),
        command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        commit=commit,
        dirty=dirty,
        interrupted=False,
        settings=settings,
        environment={
            **machine.describe(Cores(None, None)),
            "users": str(most_users),
            "model": "closed: a user waits for each answer",
        },
        scenarios=found,
    )
    write_run(record, out)
    return out, record
