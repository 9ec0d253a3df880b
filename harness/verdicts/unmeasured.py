"""Runs that measured nothing at all: they show nothing, so they never pass."""

from harness.results.run import PromiseVerdict, Run, RunKind, ScenarioResult, ScenarioStatus


def unmeasured(record: Run) -> str:
    """Return in one line why a run of pairs has no figure, and what to do next; "" if it has one, failed or was interrupted.

    A run with `--processes 0` compares answers and counts work: it needs a scenario that ran, and no figure.
    """
    stopped = {ScenarioStatus.FAILED, ScenarioStatus.INTERRUPTED}
    if record.kind != RunKind.PAIRS or record.interrupted or any(result.status in stopped for result in record.scenarios):
        return ""
    ran = [result for result in record.scenarios if result.status != ScenarioStatus.NOT_RUN]
    if not ran:
        return f"nothing was measured: {_reasons(record)}; choose another scenario, --engine or --rtt, or install what is missing"
    if not record.settings.processes or any(map(_has_figures, ran)):
        return ""
    budget = f"{record.settings.budget_s:g} s"
    return f"nothing was timed in the budget of {budget}; raise --budget, or read why each promise was not measured"


def _has_figures(result: ScenarioResult) -> bool:
    judged = any(verdict.verdict != PromiseVerdict.NOT_MEASURED for verdict in result.verdicts)
    return judged or bool(result.latencies or result.load)


def _reasons(record: Run) -> str:
    reasons = list(dict.fromkeys(f"{result.name} was not run: {result.error}" for result in record.scenarios))
    return f"{reasons[0]}{f', and {len(reasons) - 1} more' if reasons[1:] else ''}" if reasons else "there was no scenario"
