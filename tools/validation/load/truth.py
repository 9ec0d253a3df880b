"""The true response times of independent users: pure functions of their arrivals and of the server's log."""

from collections.abc import Sequence

import numpy as np

from tools.validation.load.situations import TABLE, Course, Ns, delays_ns


def released_ns(ready_ns: Ns, stalls_ns: Sequence[tuple[int, int]]) -> Ns:
    """Return the times at which responses are sent: one that is ready within a stall is sent at the stall's end."""
    out = ready_ns.copy()
    for start, end in stalls_ns:
        out[(out >= start) & (out < end)] = end
    return out


def responses_ns(due_ns: Ns, held_ns: Ns, late_ns: Ns, stalls_ns: Sequence[tuple[int, int]]) -> Ns:
    """Return each user's response time from its due time, in nanoseconds, shape (n,).

    The server holds request i for `held_ns[i]`, longer during a stall, and is then `late_ns[i]` late. Stalls and due times count
    from the same point in time.
    """
    return released_ns(due_ns + held_ns, stalls_ns) + late_ns - due_ns


def truth_ns(due_ns: Ns, course: Course, late_ns: Ns) -> Ns:
    """Return the response times of users with these due times, the first of which is the server's first request.

    `late_ns` is the server's lateness by request, -1 if the client had closed the connection; it is repeated if a tool sent
    fewer requests than there are users.
    """
    responded = late_ns[late_ns >= 0]
    numbers = np.arange(len(due_ns))
    late = responded[numbers % len(responded)] if len(responded) else np.zeros(len(due_ns), dtype=np.int64)
    return responses_ns(due_ns - due_ns[:1], delays_ns(course.delays, course.seed)[numbers % TABLE], late, course.stalls_ns)
