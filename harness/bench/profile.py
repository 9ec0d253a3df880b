"""Where the time of worker processes goes: the phase of each activity that a worker names when it begins."""

from collections.abc import Mapping

from harness.results.profile import RunPhase

_PHASES = {
    "importing": RunPhase.STARTING,
    "preparing": RunPhase.PREPARING,
    "making": RunPhase.PREPARING,
    "opening": RunPhase.OPENING,
    "comparing": RunPhase.VERIFICATION,
    "counting": RunPhase.COUNTING,
    "collecting": RunPhase.COUNTING,
    "demonstrating": RunPhase.FINDINGS,
    "warming": RunPhase.WARM_UP,
    "timing pairs": RunPhase.RESETS,  # what is left of it once the operations were transferred
    RunPhase.OPERATIONS: RunPhase.OPERATIONS,
    "timing the controls": RunPhase.CONTROLS,
    "measuring memory": RunPhase.MEMORY,
    "closing": RunPhase.CLOSING,
    "ending": RunPhase.CLOSING,
}
"""Beginning of an activity → its phase."""


def by_phase(spent_s: Mapping[str, float], lasted_s: float) -> dict[str, float]:
    """Return phase → seconds of a process that lasted `lasted_s`, where `spent_s` has the seconds of its activities.

    What no activity accounts for is the start and the end of the process.
    """
    found: dict[str, float] = {}
    for activity, seconds in spent_s.items():
        phase = next((phase for beginning, phase in _PHASES.items() if activity.startswith(beginning)), RunPhase.STARTING)
        found[phase] = found.get(phase, 0.0) + seconds
    found[RunPhase.STARTING] = found.get(RunPhase.STARTING, 0.0) + max(0.0, lasted_s - sum(spent_s.values()))
    return found
