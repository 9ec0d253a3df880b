"""The master's role: it shares the load out, and what its workers tell becomes one run."""

from __future__ import annotations

import sys
from collections.abc import Callable

import gevent
import msgspec
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner

from harness.errors import HarnessError, ScenarioFailedError
from harness.load.open_model import GIVE_UP_S
from harness.load.supervisor import STOP_S
from harness.locust_adapter.roles import LOOK_S, Reporter
from harness.locust_adapter.worker import DRAIN, HERE, PREPARE, READY, WISH, FromWorker
from harness.locust_adapter.written import INTERRUPTED, RunResults


class Master(Reporter):
    """The process that shares the load out, and to which the workers report."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.here: set[str] = set()
        self.prepared: set[str] = set()
        self.done: dict[str, str | None] = {}
        self.run = 0

    @property
    def runner(self) -> MasterRunner:
        """Locust's side of this master."""
        assert isinstance(self.environment.runner, MasterRunner)
        return self.environment.runner

    def ready(self) -> None:
        """Have as many workers prepare as are expected."""
        self.runner.register_message(HERE, lambda msg, **_: self.here.add(msg.node_id))
        self.runner.register_message(READY, lambda msg, **_: self.prepared.add(msg.node_id))
        if not self.options.headless:
            return
        try:
            self.wishes(1, [])  # what cannot be met is refused before anybody is waited for
            self._wait(lambda: len(self.here) >= self.options.expect_workers, float(self.options.expect_workers_max_wait))
            workers = [worker for worker in self._workers() if worker in self.here]
            wish = msgspec.to_builtins(self.wishes(self.options.num_users or 1, workers))
            for worker in workers:
                self.runner.send_message(PREPARE, wish, worker)
            self._wait(lambda: self.prepared >= set(workers) or any(self.done.values()))
        except HarnessError as error:
            self._leave(str(error), error.code)
        except KeyboardInterrupt:
            self._leave("stopped before the run began", INTERRUPTED)
        if failures := [reason for reason in self.done.values() if reason]:
            self._leave(failures[0], self.environment.process_exit_code or 1)
        self.done.clear()

    def start(self) -> None:
        """Share the load out; the wish goes with Locust's own order to spawn."""
        self.told, self.done = RunResults(places=self.told.places, facts=self.told.facts, cannot_run=self.told.cannot_run), {}
        self.run += 1
        self.wish = None
        setattr(self.options, WISH, None)
        try:
            self.wish = self.wishes(self.runner.target_user_count, self._workers(), self.run)
        except HarnessError as error:
            self.give_up(str(error), error.code)
            return
        setattr(self.options, WISH, msgspec.to_builtins(self.wish))
        self.running = True

    def hear(self, worker: str, said: FromWorker) -> None:
        """Take in what a worker's report adds."""
        if said.run != max(1, self.run):
            return
        self.told.add(worker, said.blocks, said.ticks)
        self.told.places |= said.places
        self.told.facts |= said.facts
        self.told.cannot_run = said.cannot_run or self.told.cannot_run
        if said.failed and worker not in self.done:
            self.done[worker] = said.failed
            self.environment.process_exit_code = said.code
            if self.running:
                self.give_up(said.failed, said.code)
        elif said.done:
            self.done.setdefault(worker, None)

    def stop(self) -> None:
        """Have the workers drain, name those whose share is lost, and report."""
        if not self.running or self.wish is None:
            return
        self.running = False
        code = self.environment.process_exit_code
        self.runner.send_message(DRAIN, {})
        late = gevent.Timeout(self.wish.drain_s + GIVE_UP_S + STOP_S, False)  # noqa: FBT003 - gevent's word for: raise nothing outside
        with late:
            while set(self.wish.workers) - set(self.done) - self._missing():
                gevent.sleep(LOOK_S)
        for number, worker in enumerate(self.wish.workers, 1):
            because = self.done.get(worker, "no word of it any more")
            if because is not None:
                blocks = len(self.told.blocks.get(worker, []))
                self.told.lost.append(f"worker {number} of {len(self.wish.workers)}, after {blocks} of its blocks: {because}")
        self.finish()
        self.environment.process_exit_code = code or self.environment.process_exit_code

    def _workers(self) -> list[str]:
        return sorted((w for w in self.runner.clients if w not in self._missing()), key=self.runner.get_worker_index)

    def _missing(self) -> set[str]:
        return {client.id for client in self.runner.clients.all if client.state == STATE_MISSING}

    def _wait(self, enough: Callable[[], bool], seconds: float = 0) -> None:
        with gevent.Timeout(
            seconds or None, ScenarioFailedError("gave up waiting for workers; start more of them, or expect fewer")
        ):
            while not enough():
                if lost := self._missing() & self.here:
                    raise ScenarioFailedError(
                        f"worker {min(lost)} was lost before the run; look at what it said, and start it again"
                    )
                gevent.sleep(LOOK_S)

    def _leave(self, says: str, code: int) -> None:
        sys.stderr.write(f"harness: {says}\n")
        self.runner.quit()
        sys.exit(code)
