"""The network proxy: what is sent arrives whole, in order and never early; faults come and go; nothing is left behind."""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.network import Conditions, Link, lane, link
from harness.network.accuracy import added, round_trips_ns
from harness.network.clockwork import Clockwork
from harness.network.conditions import BUFFER_BYTES, Direction, Line, jitters_ns, window_bytes
from harness.network.echo import ECHO, echo_server, transfers_mb_per_s

PATIENCE_S = 10.0
CONDITIONS = {
    "nothing between": Conditions(),
    "a distance with jitter": Conditions(rtt_ms=2, jitter_ms=4, seed=3),
    "a slow link": Conditions(rtt_ms=1, bandwidth_bytes_per_s=20e6),
}
SOME = dict(list(CONDITIONS.items())[:2])


@dataclass
class Pair:
    """A client's socket, the server's of the same connection, and the proxy between the two."""

    client: socket.socket
    server: socket.socket
    far: Link


@contextmanager
def listening() -> Iterator[socket.socket]:
    """Listen on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        yield listener


@contextmanager
def connected(conditions: Conditions) -> Iterator[Pair]:
    """Connect through a proxy of its own."""
    with (
        listening() as listener,
        link(listener.getsockname(), conditions) as far,
        dialled(far) as client,
        met(listener) as server,
    ):
        yield Pair(client, server, far)


def dialled(far: Link) -> socket.socket:
    """Connect to a proxy."""
    return socket.create_connection((far.host, far.port), timeout=PATIENCE_S)


def met(listener: socket.socket) -> socket.socket:
    """Accept the next connection."""
    server, _ = listener.accept()
    server.settimeout(PATIENCE_S)
    return server


def read(sock: socket.socket, size_bytes: int) -> bytes:
    """Read so many bytes, or what there is before the end."""
    got = bytearray()
    while len(got) < size_bytes and (chunk := sock.recv(min(65536, size_bytes - len(got)))):
        got += chunk
    return bytes(got)


def read_all(sock: socket.socket) -> bytes:
    """Read until the end."""
    return read(sock, 2**62)


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait until something holds; give up after a while."""
    ends = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True


def fill(sock: socket.socket) -> int:
    """Send until nobody takes any more, and return how many bytes that was."""
    sock.settimeout(0)
    sent_bytes, waits = 0, 0
    while waits < 20 and sent_bytes < 2**28:  # more than all buffers of all kernels between here and there
        try:
            sent_bytes += sock.send(bytes(65536))
            waits = 0
        except BlockingIOError:
            time.sleep(0.01)
            waits += 1
    sock.settimeout(PATIENCE_S)
    return sent_bytes


def drain(sock: socket.socket) -> int:
    """Read what is there without waiting, and return how many bytes that was."""
    sock.settimeout(0)
    heard_bytes = 0
    with suppress(BlockingIOError):
        while chunk := sock.recv(65536):
            heard_bytes += len(chunk)
    sock.settimeout(PATIENCE_S)
    return heard_bytes


def hears_nothing(sock: socket.socket) -> bool:
    """Listen for a moment."""
    sock.settimeout(0.1)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(PATIENCE_S)
    return False


directions = st.sampled_from(["to target", "to client"])


@given(seed=st.integers(0, 2**63), connection=st.integers(0, 10_000), direction=directions, jitter_ms=st.floats(0.01, 1000))
def test_jitter_is_a_pure_function(seed: int, connection: int, direction: Direction, jitter_ms: float) -> None:
    """The same seed, connection and direction are late by the same amounts, each from nothing to half of the jitter asked for."""
    conditions = Conditions(jitter_ms=jitter_ms, seed=seed)
    first, second = (list(itertools.islice(jitters_ns(conditions, connection, direction), 50)) for _ in range(2))
    assert first == second
    assert all(0 <= ns <= round(jitter_ms * 1e6 / 2) for ns in first)
    other = list(itertools.islice(jitters_ns(conditions, connection + 1, direction), 50))
    assert len(set(first)) > 1
    assert other != first


@given(
    bandwidth=st.floats(1e3, 1e9),
    chunks=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**6)), min_size=1, max_size=30),
)
def test_a_line_takes_its_time(bandwidth: float, chunks: list[tuple[int, int]]) -> None:
    """On a line of limited bandwidth no chunk overtakes another, and each takes at least its size divided by the bandwidth."""
    line, before_ns = Line(bandwidth), 0
    for sent_ns, size_bytes in chunks:
        passes_ns = line.passes_ns(sent_ns, size_bytes)
        assert passes_ns - max(sent_ns, before_ns) >= size_bytes / bandwidth * 1e9 - 1
        before_ns = passes_ns


@given(rtt_ms=st.floats(0, 1000), bandwidth=st.floats(1, 1e9) | st.none())
def test_the_window_holds_the_wire_and_little_more(rtt_ms: float, bandwidth: float | None) -> None:
    """One direction of a connection may hold what its wire holds, and no more than the buffer beyond it."""
    wire_bytes = (bandwidth or 0) * rtt_ms / 2000
    beyond_bytes = window_bytes(Conditions(rtt_ms=rtt_ms, bandwidth_bytes_per_s=bandwidth)) - wire_bytes
    assert 0 < beyond_bytes <= BUFFER_BYTES + bandwidth_of_a_nanosecond(bandwidth)


def bandwidth_of_a_nanosecond(bandwidth: float | None) -> float:
    """Return how many bytes rounding a delay to whole nanoseconds, and bytes up, can add."""
    return 1 + (bandwidth or 0) / 1e9


@pytest.mark.parametrize(
    "wrong", [{"rtt_ms": -1}, {"rtt_ms": float("nan")}, {"jitter_ms": 1e9}, {"bandwidth_bytes_per_s": 0}], ids=str
)
def test_impossible_conditions_are_refused(wrong: dict[str, float]) -> None:
    """A negative time, an endless one or no bandwidth is an error that names it."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Conditions(**wrong)  # type: ignore[arg-type]  # that is the point


def test_moments_come_in_order_and_never_early() -> None:
    """Moments come in the order of their times, not of their asking, each no earlier than asked, and none while held."""
    clockwork, came = Clockwork(), []
    begin_ns = time.monotonic_ns()
    for ms in (3, 1, 2):
        clockwork.at(begin_ns + ms * 1_000_000, lambda ms=ms: came.append((ms, time.monotonic_ns())))  # type: ignore[misc]
    clockwork.hold()
    assert clockwork.is_held
    later_ns = begin_ns + 2_500_000
    clockwork.release(later_ns)
    while len(came) < 3:
        clockwork.turn()
    assert [ms for ms, _ in came] == [1, 2, 3]
    assert all(ns >= max(begin_ns + ms * 1_000_000, later_ns) for ms, ns in came)


@pytest.mark.parametrize("conditions", CONDITIONS.values(), ids=CONDITIONS)
def test_bytes_arrive_whole_and_in_order(conditions: Conditions) -> None:
    """Whatever the sizes of the chunks, in both directions at once, what arrives is what was sent."""
    with connected(conditions) as pair:

        @settings(max_examples=25)
        @given(sizes=st.lists(st.integers(1, 70_000) | st.integers(1, 100), min_size=1, max_size=15), seed=st.integers(0, 99))
        def holds(sizes: list[int], seed: int) -> None:
            chunks = [random.Random(seed + n).randbytes(size) for n, size in enumerate(sizes)]
            sent = b"".join(chunks)
            got: list[bytes] = []
            echo = threading.Thread(target=lambda: pair.server.sendall(read(pair.server, len(sent))))
            ears = threading.Thread(target=lambda: got.append(read(pair.client, len(sent))))
            for thread in (echo, ears):
                thread.start()
            for chunk in chunks:
                pair.client.sendall(chunk)
            for thread in (echo, ears):
                thread.join()
            assert got == [sent]

        holds()


def test_nothing_arrives_early() -> None:
    """Data arrive half a round trip after they were sent or later, in both directions, and so does the end."""
    with connected(Conditions(rtt_ms=20, jitter_ms=5)) as pair:
        time.sleep(0.05)  # the handshake is over
        for sender, receiver in ((pair.client, pair.server), (pair.server, pair.client)):
            for _ in range(3):
                sent_ns = time.monotonic_ns()
                sender.sendall(b"now")
                assert read(receiver, 3) == b"now"
                assert time.monotonic_ns() - sent_ns >= 10_000_000
        sent_ns = time.monotonic_ns()
        pair.client.shutdown(socket.SHUT_WR)
        assert read_all(pair.server) == b""
        assert time.monotonic_ns() - sent_ns >= 10_000_000


def test_opening_takes_a_round_trip() -> None:
    """What a client says first arrives one and a half round trips after it dialled or later, what a server says first after two."""
    with listening() as listener, link(listener.getsockname(), Conditions(rtt_ms=40)) as far:
        dialled_ns = time.monotonic_ns()
        with dialled(far) as client:
            client.sendall(b"hello")
            with met(listener) as server:
                assert time.monotonic_ns() - dialled_ns >= 60_000_000
                server.sendall(b"welcome")
                assert read(server, 5) == b"hello"
                assert read(client, 7) == b"welcome"
                assert time.monotonic_ns() - dialled_ns >= 80_000_000


def test_a_stream_is_late_not_slow() -> None:
    """Chunks sent one after the other are all on their way at once: none waits for the one before it to arrive."""
    with connected(Conditions(rtt_ms=1000)) as pair:
        for _ in range(5):
            pair.client.sendall(bytes(1000))
            time.sleep(0.01)
        assert eventually(lambda: pair.far.traffic().held_bytes == 5000)
        assert read(pair.server, 5000) == bytes(5000)
        assert pair.far.traffic().held_bytes == 0


@pytest.mark.parametrize("conditions", SOME.values(), ids=SOME)
def test_half_a_connection_can_end(conditions: Conditions) -> None:
    """A client that has said all still hears the answer, and when both have ended the proxy lets go."""
    with connected(conditions) as pair:
        pair.client.sendall(b"question")
        pair.client.shutdown(socket.SHUT_WR)
        assert read_all(pair.server) == b"question"
        assert pair.far.traffic().open == 1
        pair.server.sendall(b"answer")
        pair.server.shutdown(socket.SHUT_WR)
        assert read_all(pair.client) == b"answer"
        assert eventually(lambda: pair.far.traffic().open == 0)


@pytest.mark.parametrize("conditions", SOME.values(), ids=SOME)
@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_passes_through(conditions: Conditions, who: str) -> None:
    """When one side resets its connection, the other side's is reset, and the proxy lets go."""
    with connected(conditions) as pair:
        resets, hears = (pair.client, pair.server) if who == "client" else (pair.server, pair.client)
        resets.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        resets.close()
        with pytest.raises(ConnectionResetError):
            read_all(hears)
        assert eventually(lambda: pair.far.traffic().open == 0)


def test_talking_to_one_who_has_left_is_answered_by_a_reset() -> None:
    """Who writes after the other side has closed is reset, as by a network, and not left talking to the proxy."""
    with connected(Conditions(rtt_ms=1)) as pair:
        pair.server.close()
        assert read_all(pair.client) == b""
        pair.client.sendall(b"still there?")
        assert eventually(lambda: pair.far.traffic().open == 0)
        with pytest.raises(BrokenPipeError):
            pair.client.sendall(b"no?")


def test_when_both_have_gone_the_proxy_lets_go() -> None:
    """Two sides that reset each other while data are on their way leave nothing open."""
    with connected(Conditions(rtt_ms=10)) as pair:
        for sock in (pair.client, pair.server):
            sock.sendall(b"one")
            sock.sendall(b"two")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        pair.client.close()
        pair.server.close()
        assert eventually(lambda: pair.far.traffic().open == 0)


def test_a_command_resets_every_connection() -> None:
    """Both ends of each open connection are reset, what was on its way is lost, and a new connection is not in its wake."""
    with listening() as listener, link(listener.getsockname(), Conditions(rtt_ms=60)) as far, ExitStack() as stack:
        client = stack.enter_context(dialled(far))
        server = stack.enter_context(met(listener))
        client.sendall(b"on its way")
        assert eventually(lambda: far.traffic().held_bytes == 10)
        waiting = stack.enter_context(dialled(far))
        far.reset()
        for sock in (client, server, waiting):
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        assert (far.traffic().open, far.traffic().held_bytes) == (0, 0)
        new = [stack.enter_context(dialled(far)) for _ in range(2)]
        servers = [stack.enter_context(met(listener)) for _ in new]  # by now whatever was due for the old ones has come
        for client, server in zip(new, servers, strict=True):
            client.sendall(b"on its way")
            assert read(server, 10) == b"on its way"
        assert far.traffic().accepted == 4


@pytest.mark.parametrize("conditions", SOME.values(), ids=SOME)
def test_a_black_hole_swallows_until_it_is_lifted(conditions: Conditions) -> None:
    """Meanwhile nobody hears anything, neither old connections nor new ones; afterwards all of it arrives, in order."""
    with connected(conditions) as pair:
        pair.client.sendall(b"before ")
        assert read(pair.server, 7) == b"before "
        with pair.far.black_hole():
            pair.client.sendall(b"lost? ")
            pair.server.sendall(b"never heard of it")
            pair.client.sendall(b"no")
            with dialled(pair.far) as new:
                new.sendall(b"hello")
                assert hears_nothing(pair.server)
                assert hears_nothing(pair.client)
                assert hears_nothing(new)
            pair.client.shutdown(socket.SHUT_WR)
        assert read_all(pair.server) == b"lost? no"
        assert read(pair.client, 17) == b"never heard of it"


def test_a_black_hole_takes_a_connection_that_is_full_as_well() -> None:
    """A reader with room again hears nothing of what waited for it until the black hole is lifted."""
    with connected(Conditions(rtt_ms=1)) as pair:
        sent_bytes = fill(pair.client)
        with pair.far.black_hole():
            held_bytes = pair.far.traffic().held_bytes
            heard_bytes = drain(pair.server)
            assert hears_nothing(pair.server)
            assert pair.far.traffic().held_bytes >= held_bytes > 0
        assert len(read(pair.server, sent_bytes - heard_bytes)) == sent_bytes - heard_bytes


def test_refusing_is_refusing() -> None:
    """Meanwhile new connections are refused and open ones work; afterwards new ones are let in, at the same port."""
    with connected(Conditions()) as pair:
        with pair.far.refuse():
            with pytest.raises(ConnectionRefusedError):
                dialled(pair.far)
            pair.far.reset()
            with pytest.raises(ConnectionResetError):
                pair.client.recv(1)
        with dialled(pair.far):
            assert eventually(lambda: pair.far.traffic().open == 1)


def test_many_connections_at_once() -> None:
    """Two hundred connections each get their own answers."""
    with echo_server() as server, link(server, Conditions(rtt_ms=5, jitter_ms=2)) as far, ExitStack() as stack:
        clients = [stack.enter_context(dialled(far)) for _ in range(200)]
        for number, client in enumerate(clients):
            client.sendall(ECHO + b"%04d" % number)
        for number, client in enumerate(clients):
            assert read(client, 4) == b"%04d" % number
        assert far.traffic().open == 200
        assert far.traffic().accepted == 200


def test_a_slow_reader_stops_the_writer() -> None:
    """When nobody reads, the proxy takes no more than its window, grows no more than that, and loses nothing."""
    with connected(Conditions(rtt_ms=1)) as pair:
        proxy = psutil.Process(pair.far.pid)
        before_bytes = proxy.memory_info().rss
        sent_bytes = fill(pair.client)
        assert sent_bytes < 2**28
        most_bytes = window_bytes(Conditions(rtt_ms=1)) + 2**18
        assert 0 < pair.far.traffic().held_bytes <= most_bytes
        assert proxy.memory_info().rss - before_bytes < 2 * most_bytes
        pair.client.shutdown(socket.SHUT_WR)
        assert len(read_all(pair.server)) == sent_bytes


def test_a_unix_socket_can_be_far_away(tmp_path: Path) -> None:
    """A target may be a Unix socket; one that is not there is a reset connection."""
    path = tmp_path / "server.sock"
    with socket.socket(socket.AF_UNIX) as listener, link(path, Conditions(rtt_ms=1)) as far:
        with pytest.raises(ConnectionResetError), dialled(far) as client:
            client.recv(1)
        listener.settimeout(PATIENCE_S)
        listener.bind(str(path))
        listener.listen()
        with dialled(far) as client:
            with met(listener) as server:
                client.sendall(b"over there?")
                assert read(server, 11) == b"over there?"
                server.sendall(b"yes")
            assert read_all(client) == b"yes"


def test_a_target_where_nobody_listens_is_a_reset() -> None:
    """The client learns it from its connection, and the proxy goes on: once somebody listens, it is let through."""
    with listening() as listener:
        address = listener.getsockname()
    with link(address, Conditions()) as far:
        with pytest.raises(ConnectionResetError), dialled(far) as client:
            client.recv(1)
        assert far.traffic().open == 0
        with socket.create_server(address) as again, dialled(far):
            again.settimeout(PATIENCE_S)
            met(again).close()


def test_a_port_can_be_asked_for() -> None:
    """A port that is free is used; one that is taken is an error of one line that names it."""
    with listening() as free:
        port = free.getsockname()[1]
    with link(("127.0.0.1", 1), Conditions(), port=port) as far:
        assert far.port == port
        with (
            pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port}: Address already in use; leave the port out") as refused,
            link(("127.0.0.1", 1), Conditions(), port=port),
        ):
            pass
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("target", [("127.0.0.1", 0), ("127.0.0.1", 70_000), ("no..host", 5432)], ids=str)
def test_a_target_without_an_address_is_refused(target: tuple[str, int]) -> None:
    """A port that there cannot be, or a name that nobody knows, is an error that names the target."""
    with pytest.raises(UsageError, match=rf"{target[0]}:{target[1]} is no address"), link(target, Conditions()):
        pass


def test_a_proxy_that_has_died_says_so() -> None:
    """A fault asked of a proxy that is gone is an error, not a wait without end."""
    with link(("127.0.0.1", 1), Conditions()) as far:
        os.kill(far.pid, signal.SIGKILL)
        with pytest.raises(UsageError, match="has ended"):
            far.reset()


def test_nothing_is_left_at_the_end() -> None:
    """The process has gone when the context has, with open connections as without."""
    with connected(Conditions(rtt_ms=1)) as pair:
        pid = pair.far.pid
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_nothing_is_left_when_its_starter_is_killed() -> None:
    """The process ends by itself when whoever started it is killed outright."""
    program = (
        "from harness.network import Conditions, link\n"
        "with link(('127.0.0.1', 1), Conditions(rtt_ms=1)) as far:\n"
        "    print(far.pid, flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    ) as starter:
        assert starter.stdout is not None
        proxy = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    assert eventually(lambda: not proxy.is_running() or proxy.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize(
    ("asked_ms", "median_ms", "ok"), [(0, 0.29, True), (1, 0.69, False), (1, 1.31, False), (25, 26.2, True), (25, 23.7, False)]
)
def test_accuracy_is_judged_by_the_median(asked_ms: float, median_ms: float, ok: bool) -> None:
    """What was added may be off by 5 % or 0.3 ms, whichever is larger, beyond the direct round trip."""
    through_ns = [round((median_ms + 0.1 + off / 1000) * 1e6) for off in range(-50, 51)]
    found = added(asked_ms, [100_000] * 5, through_ns)
    assert found.ok is ok
    assert found.median_ms == pytest.approx(median_ms)
    assert found.error_ms == pytest.approx(median_ms - asked_ms)
    assert found.p5_ms < found.median_ms < found.p95_ms
    assert found.p99_ms is None
    assert added(asked_ms, [100_000], through_ns * 10).p99_ms is not None


def test_who_is_held_up_between_two_clocks_is_never_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's stamp is on another clock: a millisecond lost while both are read makes a chunk late, at most by that."""
    passed_ns, second_ns = itertools.count(0, 1_000_000), 10**9
    monkeypatch.setattr(time, "time_ns", lambda: 100 * second_ns + next(passed_ns))
    monkeypatch.setattr(time, "monotonic_ns", lambda: 7 * second_ns + next(passed_ns))
    stamp = lane._TIMESTAMP.pack(99, 998_000_000)
    found_ns = lane._sent_ns([(socket.SOL_SOCKET, lane._SO_TIMESTAMPNS, stamp)])
    assert 0 <= found_ns - 6_998_000_000 <= 1_000_000


def test_what_accuracy_measures_is_real() -> None:
    """Through a proxy no round trip is shorter than asked, whether one connection makes it or several take turns."""
    with echo_server() as server, link(server, Conditions(rtt_ms=12)) as far:
        taken_ns = round_trips_ns((far.host, far.port), 12, 40)
        assert len(taken_ns) == 40
        assert min(taken_ns) >= 12_000_000
        assert all(speed > 0 for speed in transfers_mb_per_s((far.host, far.port), 2**20))
