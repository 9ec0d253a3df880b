"""A bench worker: a fresh process that does one job of a run, for its parent in `harness.bench.process`."""

import asyncio
import gc

import msgspec

from harness.bench.instance import Outbox, refuse_wrong_clock
from harness.bench.job import BenchJob, DataPrepared, JobDone, Task
from harness.discovery import LoadedScenario, load, refuse_changed
from harness.runtime import channel, leftovers
from harness.runtime.channel import LONG, begin
from harness.runtime.child import decode_path
from harness.runtime.clock import ClockCheck, MonotonicClock


def main() -> None:
    """Do the job on the channel; exits with 0 whatever the job's outcome, which is in the messages.

    The outcome is sent before the event loop is closed, which waits for everything that the scenario has left in its threads.
    """
    parent = channel.connect()
    channel.refuse_exits()
    line = parent.read_line()
    if not line:
        return
    job = msgspec.json.decode(line, type=BenchJob, dec_hook=decode_path)
    outbox, clock, runner = Outbox(parent), ClockCheck(MonotonicClock()), asyncio.Runner()
    try:
        begin("importing the scenario", times=LONG)
        gc.disable()  # what is imported stays, and searching it for garbage takes a tenth of a process's start and of its end
        loaded = load(job.file)
        refuse_changed(loaded, job.digest)
        if job.ablate:
            from harness.bench.switches import ablated  # noqa: PLC0415 - imports numpy, which few jobs need

            loaded = ablated(loaded)
        outbox.scenario = loaded.scenario
        gc.freeze()
        gc.enable()
        _do(job, loaded, outbox, runner)
        refuse_wrong_clock(clock)
    except BaseException as error:  # noqa: BLE001 - a scenario's own code may raise anything; the parent gets it as a message
        outbox.fail(error)
    else:
        outbox.send(JobDone(channel.spent_s(), leftovers.started()))
    begin("ending")
    runner.close()
    gc.freeze()


def _do(job: BenchJob, loaded: LoadedScenario, outbox: Outbox, runner: asyncio.Runner) -> None:
    if job.task in {Task.PREPARE, Task.TRY}:
        begin("preparing the data", times=LONG)
        ready = loaded.scenario.prepare(job.setting)
        changes = {arm: list(statements) for arm, statements in ready.changes.items()}
        outbox.send(DataPrepared(dict(ready.dataset), dict(ready.engine_settings), list(ready.warnings), changes))
    if job.task is Task.PAIRS:  # each task imports what it needs: most processes time pairs, and would wait for the rest
        from harness.bench.pairing import time_pairs  # noqa: PLC0415 - see above

        runner.run(time_pairs(job, loaded, outbox))
    elif job.task is Task.MEMORY:
        from harness.bench.memory import measure_memory  # noqa: PLC0415 - memory-profiler must run only in a dedicated process

        runner.run(measure_memory(job, loaded, outbox))
    elif job.task is not Task.PREPARE:
        from harness.bench import examining  # noqa: PLC0415 - see above

        jobs = {Task.COUNT: examining.count, Task.INSTRUCTIONS: examining.count_instructions}
        runner.run(jobs.get(job.task, examining.examine)(job, loaded, outbox))


if __name__ == "__main__":
    main()
