"""The phases of measuring: how a run's record divides its time."""

from enum import StrEnum


class RunPhase(StrEnum):
    """A part of the time that worker processes take, in the order in which reports show them."""

    WAITING = "waiting for a core"
    STARTING = "starting and ending processes"
    PREPARING = "preparing data"
    OPENING = "opening instances"
    VERIFICATION = "comparing answers"
    COUNTING = "counting work"
    FINDINGS = "trying findings"
    WARM_UP = "warm-up"
    RESETS = "resets between operations"
    OPERATIONS = "timed operations"
    CONTROLS = "controls"
    MEMORY = "memory"
    LOAD = "load"
    CLOSING = "closing instances"
