"""The parts that all jobs of a worker share: instances of arms, the scenario's cases, and sending messages."""

import asyncio
import sys
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from harness.bench.job import PREVIEWED, WAITING, BenchJob, JobDone, Message, ReadyToTime, TimePairs
from harness.bench.operations import UnpicklableCaseError, cached_cases, first_of_each_group
from harness.errors import LONGEST, HarnessError, ScenarioFailedError, describe
from harness.runnable import RunnableScenario
from harness.runtime import channel
from harness.runtime.channel import LONG, begin
from harness.runtime.child import JobFailed, encode_path
from harness.runtime.clock import ClockCheck
from harness.runtime.cores import move_to
from harness.scenario import Case, Setting
from harness.text import encode_json
from harness.user_code import failure, shown


class Outbox:
    """The worker's end of its job: sends messages, and after its outcome nothing more."""

    def __init__(self, parent: channel.Channel) -> None:
        self._parent, self._is_over = parent, False
        self.scenario: RunnableScenario | None = None
        """The scenario of the job, once it is imported."""

    def send(self, message: Message) -> None:
        """Send a message, unless the outcome was sent."""
        if self._is_over:
            return
        try:
            self._parent.write_line(encode_json(message, encode_path))
        except OSError as error:  # a scenario has closed the channel: nothing more can be said, and what was done last is known
            sys.stderr.write(f"{describe(error)}\n")
            channel.leave(1)
        self._is_over = isinstance(message, JobDone | JobFailed)

    async def turn(self) -> TimePairs:
        """Say that pairs can be timed, wait for what to time, and move to its cores.

        Raises ScenarioFailedError if the parent has closed its end.
        """
        self.send(ReadyToTime())
        begin(WAITING, times=LONG)
        loop = asyncio.get_running_loop()
        received = loop.create_future()
        loop.add_reader(self._parent.fileno(), received.set_result, None)
        try:
            await received
        finally:
            loop.remove_reader(self._parent.fileno())
        line = self._parent.read_line()
        if not line:
            raise ScenarioFailedError("the run has ended before this process was to time pairs")
        turn = msgspec.json.decode(line, type=TimePairs)
        move_to(turn.cpus)
        return turn

    def fail(self, error: BaseException) -> None:
        """Send an exception as the outcome, with its traceback.

        One that is not the harness's own has the arm, the case and the phase of what was being done, and the line in the file of
        the scenario once that is known.
        """
        code = ScenarioFailedError.code
        if isinstance(error, HarnessError):
            message, code = str(error), error.code
        elif self.scenario is None:
            message = describe(error)
        else:
            phase, arm, case = channel.doing()
            message = f"{failure(error, self.scenario.written, arm, case)} ({phase})"
        detail = "".join(traceback.format_exception(error))
        self.send(JobFailed(message, code, detail[-LONGEST:]))


def refuse_wrong_clock(check: ClockCheck) -> None:
    """Raise ScenarioFailedError if the clock does not advance as time passes."""
    if problem := check.problem():
        raise ScenarioFailedError(problem)


@asynccontextmanager
async def opened(scenario: RunnableScenario, arm: str, setting: Setting, outbox: Outbox) -> AsyncIterator[Any]:
    """Open an instance of an arm. A failure is sent before it is closed, which may not come to an end after a failure."""
    begin("opening", arm, times=LONG)
    async with scenario.open(arm, setting) as instance:
        try:
            yield instance
        except GeneratorExit:  # raised by the scenario, and named by `main`, or by the end of the loop
            raise
        except BaseException as error:
            outbox.fail(error)
            begin("closing", arm)
            raise
        else:
            begin("closing", arm)


@asynccontextmanager
async def all_opened(
    scenario: RunnableScenario, arms: Mapping[str, str], setting: Setting, outbox: Outbox
) -> AsyncIterator[dict[str, Any]]:
    """Open the instance of an arm for each name, in this order, and close all of them; with errors as those of `opened`.

    They are opened side by side where the scenario says that this mostly waits, each in a task of its own, which closes it as well.
    """
    async with AsyncExitStack() as stack:
        if scenario.waits_to_open:
            yield await stack.enter_async_context(_side_by_side(scenario, arms, setting, outbox))
        else:
            yield {name: await stack.enter_async_context(opened(scenario, arm, setting, outbox)) for name, arm in arms.items()}


@asynccontextmanager
async def _side_by_side(
    scenario: RunnableScenario, arms: Mapping[str, str], setting: Setting, outbox: Outbox
) -> AsyncIterator[dict[str, Any]]:
    over, opening = asyncio.Event(), {name: asyncio.get_running_loop().create_future() for name in arms}

    async def hold(name: str, arm: str) -> None:
        try:
            async with scenario.open(arm, setting) as instance:
                opening[name].set_result(instance)
                await over.wait()
        except Exception as error:
            if opening[name].done():
                raise
            opening[name].set_exception(error)

    every_arm = ", ".join(dict.fromkeys(arms.values()))
    begin("opening", every_arm, times=LONG)
    tasks = [asyncio.create_task(hold(name, arm)) for name, arm in arms.items()]
    try:
        await asyncio.wait(opening.values(), return_when=asyncio.FIRST_EXCEPTION)
        failed = [future for future in opening.values() if future.done() and future.exception()]
        yield {name: (failed or [future])[0].result() for name, future in opening.items()}
    except GeneratorExit:  # the worker's loop has ended
        raise
    except BaseException as error:
        outbox.fail(error)
        raise
    finally:
        begin("closing", every_arm)
        over.set()
        closed = await asyncio.gather(*tasks, return_exceptions=True)
    for failed_to_close in filter(None, closed):
        raise failed_to_close


def cases_of(scenario: RunnableScenario, job: BenchJob) -> list[Case]:
    """Return the scenario's cases that count in the job: of a preview the first ones of each of its groups."""
    cases = all_cases_of(scenario, job)
    if not job.effort.is_preview:
        return cases
    previewed = {group.name for group in scenario.previewed}
    return first_of_each_group([case for case in cases if case.group in previewed], PREVIEWED)


def all_cases_of(scenario: RunnableScenario, job: BenchJob) -> list[Case]:
    """Return the scenario's cases, made once per run and cached with its data."""

    def make() -> list[Case]:
        begin("making the cases", times=LONG)
        cases = list(scenario.cases(job.setting))
        if not cases:
            raise ScenarioFailedError(f"{shown(job.file)} returns no cases for size {job.setting.size!r}, seed {job.setting.seed}")
        name, times = Counter(case.name for case in cases).most_common(1)[0]
        if times > 1:
            raise ScenarioFailedError(f"{shown(job.file)} has two cases named {name!r}; give every case a unique name")
        return cases

    try:
        return cached_cases(job.setting.folder / f"cases-{job.setting.scale:g}.pickle", make)
    except UnpicklableCaseError as error:
        raise ScenarioFailedError(f"{shown(job.file)}: {error}") from error
