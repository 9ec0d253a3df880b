"""What independent users would have met: pure functions of when they come, and of what the server did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.validation.load.situations import TABLE, Course, Ns, delays_ns


def released_ns(ready_ns: Ns, stalls_ns: Sequence[tuple[int, int]]) -> Ns:
    """Return when answers that are ready at these moments may go out: what is ready within a stall goes at its end."""
    out = ready_ns.copy()
    for start, end in stalls_ns:
        out[(out >= start) & (out < end)] = end
    return out


def responses_ns(due_ns: Ns, held_ns: Ns, late_ns: Ns, stalls_ns: Sequence[tuple[int, int]]) -> Ns:
    """Return each user's response time from the moment that they were due to come, in nanoseconds, shape (n,).

    The server holds request i for `held_ns[i]`, and any longer while it stalls; then it is `late_ns[i]` late of itself. Stalls
    and due moments count from the same moment.
    """
    return released_ns(due_ns + held_ns, stalls_ns) + late_ns - due_ns


def truth_ns(due_ns: Ns, course: Course, late_ns: Ns) -> Ns:
    """Return the response times of users who were due at these moments, the first of them at the server's first request.

    `late_ns` is how late the server says that it was, by request and -1 where the asker had gone; where a tool asked less often
    than users would have, it begins again.
    """
    answered = late_ns[late_ns >= 0]
    numbers = np.arange(len(due_ns))
    late = answered[numbers % len(answered)] if len(answered) else np.zeros(len(due_ns), dtype=np.int64)
    return responses_ns(due_ns - due_ns[:1], delays_ns(course.delays, course.seed)[numbers % TABLE], late, course.stalls_ns)
