"""One scenario on one engine at one distance, under way: what has been heard of it, and what its child processes are to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from harness.bench.probes import instructions
from harness.bench.protocol import BenchJob, Task
from harness.bench.result import ScenarioEvidence
from harness.bench.switches import Ablated
from harness.scenario import Setting

INSTRUCTIONS_S = 600
"""How long counting one arm's instructions may take."""

PATIENCE_S, PATIENCE_TIMES = 30, 10
"""How long an operation may take under a memory limit: so long, and so many times as long as without the limit."""

CASES_FURTHER_AWAY = 1
"""Cases of each group that are verified at a second distance: distance changes no answer, and all were verified at the first."""


@dataclass
class ScenarioRun:
    """One scenario on one engine at one distance, under way."""

    evidence: ScenarioEvidence
    setting: Setting

    @property
    def is_lowest_rtt(self) -> bool:
        """Whether this is the trial at the least distance that is being run: what distance cannot change is measured there."""
        return self.evidence.lowest_rtt is None

    @property
    def samples_file(self) -> str | None:
        """Where its samples go, in the run's folder; None if there are none, or none to rely on."""
        if not self.evidence.samples or self.evidence.error is not None:
            return None
        distance = f"-rtt{self.evidence.rtt_ms:g}" if self.evidence.rtt_ms else ""
        return f"samples/{self.evidence.loaded.name}-{self.evidence.engine}{distance}.csv"

    def job(self, task: Task, setting: Setting | None = None, **more: object) -> Callable[[], BenchJob]:
        """Return what makes a job when its turn comes: by then more may be known of what cannot run."""

        def make() -> BenchJob:
            return BenchJob(
                task=task,
                file=self.evidence.loaded.file,
                setting=setting or self.setting,
                excluded=self.evidence.excluded,
                ablate=isinstance(self.evidence.loaded.scenario.written, Ablated),
                **more,  # type: ignore[arg-type]  # as Job has them
            )

        return make

    def examination(self, *, counting: bool, interpreter: bool) -> Callable[[], BenchJob]:
        """Return what makes a job that compares the arms' answers; at the nearest distance it counts as well, or else prepares."""
        if not self.is_lowest_rtt:
            return self.job("revisit", cases_per_group=CASES_FURTHER_AWAY)
        return self.job("examine", interpreter=interpreter) if counting else self.job("try")

    def instructions(self, arm: str) -> Callable[[], BenchJob]:
        """Return what makes a job that counts an arm's instructions, in a process that callgrind watches.

        Raises:
            NotMeasurableError: when its turn comes, if callgrind is not installed.
        """
        make = self.job("instructions", arm=arm, timeout_s=INSTRUCTIONS_S)

        def watched() -> BenchJob:
            files = instructions.folder(self.setting.folder, arm)
            files.mkdir(exist_ok=True)
            return msgspec.structs.replace(make(), prefix=tuple(instructions.command(files)))

        return watched

    def limited(self, arm: str, group: str, limit_bytes: int) -> Callable[[], BenchJob]:
        """Return the same for an operation under a memory limit, with patience for many times as long as it took without one."""
        make = self.job("memory", arm=arm, group=group, limit_bytes=limit_bytes)

        def patient() -> BenchJob:
            longest_s = max((m.seconds for m in self.evidence.memory if (m.arm, m.group) == (arm, group)), default=0.0)
            return msgspec.structs.replace(make(), timeout_s=PATIENCE_S + round(PATIENCE_TIMES * longest_s))

        return patient
