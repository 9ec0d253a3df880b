"""The network proxy delivers data whole, in order and never early, injects faults, and leaves nothing behind."""

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
from harness.network import Conditions, Link, link, links, relay
from harness.network import proxy as proxy_module
from harness.network.accuracy import ECHO, added_latency, echo_server, round_trips_ns, transfers_mb_per_s
from harness.network.conditions import BUFFER_BYTES, Direction, RateLimiter, jitters_ns, window_bytes
from harness.network.relay import TimerLoop

TIMEOUT_S = 10.0
CONDITIONS = {
    "direct": Conditions(),
    "latency and jitter": Conditions(rtt_ms=2, jitter_ms=4, seed=3),
    "limited bandwidth": Conditions(rtt_ms=1, bandwidth_bytes_per_s=20e6),
}
DIRECT_AND_DELAYED = dict(list(CONDITIONS.items())[:2])


@dataclass
class Pair:
    """The client's and the server's socket of one connection, and the proxy between them."""

    client: socket.socket
    server: socket.socket
    proxy: Link


@contextmanager
def listening() -> Iterator[socket.socket]:
    """Listen on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT_S)
        yield listener


@contextmanager
def connected(conditions: Conditions) -> Iterator[Pair]:
    """Connect a client and a server through a proxy."""
    with (
        listening() as listener,
        link(listener.getsockname(), conditions) as proxy,
        connect_to(proxy) as client,
        accept(listener) as server,
    ):
        yield Pair(client, server, proxy)


def connect_to(proxy: Link) -> socket.socket:
    """Connect to a proxy."""
    return socket.create_connection((proxy.host, proxy.port), timeout=TIMEOUT_S)


def accept(listener: socket.socket) -> socket.socket:
    """Accept the next connection."""
    server, _ = listener.accept()
    server.settimeout(TIMEOUT_S)
    return server


def read(sock: socket.socket, size_bytes: int) -> bytes:
    """Read this number of bytes, or fewer if the stream ends."""
    got = bytearray()
    while len(got) < size_bytes and (chunk := sock.recv(min(65536, size_bytes - len(got)))):
        got += chunk
    return bytes(got)


def read_all(sock: socket.socket) -> bytes:
    """Read until the end."""
    return read(sock, 2**62)


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait until a condition is true; return False after the timeout."""
    ends = time.monotonic() + TIMEOUT_S
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True


def fill(sock: socket.socket) -> int:
    """Send until no buffer accepts more, and return the number of bytes sent."""
    sock.settimeout(0)
    sent_bytes, waits = 0, 0
    while waits < 20 and sent_bytes < 2**28:  # more than all buffers of all kernels between here and there
        try:
            sent_bytes += sock.send(bytes(65536))
            waits = 0
        except BlockingIOError:
            time.sleep(0.01)
            waits += 1
    sock.settimeout(TIMEOUT_S)
    return sent_bytes


def drain(sock: socket.socket) -> int:
    """Read what is there without waiting, and return the number of bytes."""
    sock.settimeout(0)
    received_bytes = 0
    with suppress(BlockingIOError):
        while chunk := sock.recv(65536):
            received_bytes += len(chunk)
    sock.settimeout(TIMEOUT_S)
    return received_bytes


def receives_nothing(sock: socket.socket) -> bool:
    """Return whether nothing arrives within a tenth of a second."""
    sock.settimeout(0.1)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(TIMEOUT_S)
    return False


directions = st.sampled_from(["to target", "to client"])


@given(seed=st.integers(0, 2**63), connection=st.integers(0, 10_000), direction=directions, jitter_ms=st.floats(0.01, 1000))
def test_jitter_is_a_pure_function(seed: int, connection: int, direction: Direction, jitter_ms: float) -> None:
    """The same seed, connection and direction give the same delays, each from 0 to half of the configured jitter."""
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
def test_chunks_take_their_transmission_time(bandwidth: float, chunks: list[tuple[int, int]]) -> None:
    """With limited bandwidth no chunk overtakes another, and each takes at least its size divided by the bandwidth."""
    limiter, before_ns = RateLimiter(bandwidth), 0
    for sent_ns, size_bytes in chunks:
        departure_ns = limiter.departure_ns(sent_ns, size_bytes)
        assert departure_ns - max(sent_ns, before_ns) >= size_bytes / bandwidth * 1e9 - 1
        before_ns = departure_ns


@given(rtt_ms=st.floats(0, 1000), bandwidth=st.floats(1, 1e9) | st.none())
def test_the_window_is_the_bandwidth_delay_product_plus_a_buffer(rtt_ms: float, bandwidth: float | None) -> None:
    """One direction of a connection holds its bandwidth-delay product and at most the buffer in addition."""
    in_flight_bytes = (bandwidth or 0) * rtt_ms / 2000
    buffered_bytes = window_bytes(Conditions(rtt_ms=rtt_ms, bandwidth_bytes_per_s=bandwidth)) - in_flight_bytes
    assert 0 < buffered_bytes <= BUFFER_BYTES + rounding_bytes(bandwidth)


def rounding_bytes(bandwidth: float | None) -> float:
    """Return the number of bytes that rounding delays to nanoseconds and bytes up can add."""
    return 1 + (bandwidth or 0) / 1e9


@pytest.mark.parametrize(
    "wrong", [{"rtt_ms": -1}, {"rtt_ms": float("nan")}, {"jitter_ms": 1e9}, {"bandwidth_bytes_per_s": 0}], ids=str
)
def test_invalid_conditions_are_refused(wrong: dict[str, float]) -> None:
    """A negative or infinite time, or a bandwidth of zero, is an error that names the field."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Conditions(**wrong)  # type: ignore[arg-type]  # that is the point


def test_timers_fire_in_order_and_never_early() -> None:
    """Timers fire in the order of their times, none of them early, and none while the loop is paused."""
    loop, fired = TimerLoop(), []
    begin_ns = time.monotonic_ns()
    for ms in (3, 1, 2):
        loop.call_at(begin_ns + ms * 1_000_000, lambda ms=ms: fired.append((ms, time.monotonic_ns())))  # type: ignore[misc]
    loop.pause()
    assert loop.is_paused
    later_ns = begin_ns + 2_500_000
    loop.resume(later_ns)
    while len(fired) < 3:
        loop.run_once()
    assert [ms for ms, _ in fired] == [1, 2, 3]
    assert all(ns >= max(begin_ns + ms * 1_000_000, later_ns) for ms, ns in fired)


@pytest.mark.parametrize("conditions", CONDITIONS.values(), ids=CONDITIONS)
def test_bytes_arrive_whole_and_in_order(conditions: Conditions) -> None:
    """Chunks of any size, in both directions at once, arrive as they were sent."""
    with connected(conditions) as pair:

        @settings(max_examples=25)
        @given(sizes=st.lists(st.integers(1, 70_000) | st.integers(1, 100), min_size=1, max_size=15), seed=st.integers(0, 99))
        def holds(sizes: list[int], seed: int) -> None:
            chunks = [random.Random(seed + n).randbytes(size) for n, size in enumerate(sizes)]
            sent = b"".join(chunks)
            got: list[bytes] = []
            echo = threading.Thread(target=lambda: pair.server.sendall(read(pair.server, len(sent))))
            receiver = threading.Thread(target=lambda: got.append(read(pair.client, len(sent))))
            for thread in (echo, receiver):
                thread.start()
            for chunk in chunks:
                pair.client.sendall(chunk)
            for thread in (echo, receiver):
                thread.join()
            assert got == [sent]

        holds()


def test_nothing_arrives_early() -> None:
    """Data and the end of a stream arrive half a round trip after they were sent or later, in both directions."""
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
    """The client's first data arrives 1.5 round trips after its connect or later, the server's first data after two."""
    with listening() as listener, link(listener.getsockname(), Conditions(rtt_ms=40)) as proxy:
        started_ns = time.monotonic_ns()
        with connect_to(proxy) as client:
            client.sendall(b"hello")
            with accept(listener) as server:
                assert time.monotonic_ns() - started_ns >= 60_000_000
                server.sendall(b"welcome")
                assert read(server, 5) == b"hello"
                assert read(client, 7) == b"welcome"
                assert time.monotonic_ns() - started_ns >= 80_000_000


def test_latency_does_not_throttle_a_stream() -> None:
    """Chunks sent one after the other are in flight together; none waits for the previous one to arrive."""
    with connected(Conditions(rtt_ms=1000)) as pair:
        for _ in range(5):
            pair.client.sendall(bytes(1000))
            time.sleep(0.01)
        assert eventually(lambda: pair.proxy.traffic().held_bytes == 5000)
        assert read(pair.server, 5000) == bytes(5000)
        assert pair.proxy.traffic().held_bytes == 0


@pytest.mark.parametrize("conditions", DIRECT_AND_DELAYED.values(), ids=DIRECT_AND_DELAYED)
def test_a_half_closed_connection_still_delivers(conditions: Conditions) -> None:
    """A client that has shut down its side still receives the reply; the proxy closes when both sides have ended."""
    with connected(conditions) as pair:
        pair.client.sendall(b"question")
        pair.client.shutdown(socket.SHUT_WR)
        assert read_all(pair.server) == b"question"
        assert pair.proxy.traffic().open == 1
        pair.server.sendall(b"answer")
        pair.server.shutdown(socket.SHUT_WR)
        assert read_all(pair.client) == b"answer"
        assert eventually(lambda: pair.proxy.traffic().open == 0)


@pytest.mark.parametrize("conditions", DIRECT_AND_DELAYED.values(), ids=DIRECT_AND_DELAYED)
@pytest.mark.parametrize("side", ["client", "server"])
def test_a_reset_is_forwarded(conditions: Conditions, side: str) -> None:
    """A reset by one side resets the other side, and the proxy closes both sockets."""
    with connected(conditions) as pair:
        resetting, receiving = (pair.client, pair.server) if side == "client" else (pair.server, pair.client)
        resetting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        resetting.close()
        with pytest.raises(ConnectionResetError):
            read_all(receiving)
        assert eventually(lambda: pair.proxy.traffic().open == 0)


def test_writing_to_a_closed_peer_gets_a_reset() -> None:
    """A client that writes after the server closed is reset, as on a network."""
    with connected(Conditions(rtt_ms=1)) as pair:
        pair.server.close()
        assert read_all(pair.client) == b""
        pair.client.sendall(b"still there?")
        assert eventually(lambda: pair.proxy.traffic().open == 0)
        with pytest.raises(BrokenPipeError):
            pair.client.sendall(b"no?")


def test_resets_from_both_sides_leave_nothing_open() -> None:
    """Two sides that reset each other with data in flight leave no open connection in the proxy."""
    with connected(Conditions(rtt_ms=10)) as pair:
        for sock in (pair.client, pair.server):
            sock.sendall(b"one")
            sock.sendall(b"two")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        pair.client.close()
        pair.server.close()
        assert eventually(lambda: pair.proxy.traffic().open == 0)


def test_the_reset_command_resets_every_connection() -> None:
    """Both ends of each open connection are reset, data in flight is lost, and new connections are not affected."""
    with listening() as listener, link(listener.getsockname(), Conditions(rtt_ms=60)) as proxy, ExitStack() as stack:
        client = stack.enter_context(connect_to(proxy))
        server = stack.enter_context(accept(listener))
        client.sendall(b"on its way")
        assert eventually(lambda: proxy.traffic().held_bytes == 10)
        waiting = stack.enter_context(connect_to(proxy))
        proxy.reset()
        for sock in (client, server, waiting):
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        assert (proxy.traffic().open, proxy.traffic().held_bytes) == (0, 0)
        new = [stack.enter_context(connect_to(proxy)) for _ in range(2)]
        servers = [stack.enter_context(accept(listener)) for _ in new]  # by now whatever was due for the old ones has come
        for client, server in zip(new, servers, strict=True):
            client.sendall(b"on its way")
            assert read(server, 10) == b"on its way"
        assert proxy.traffic().accepted == 4


@pytest.mark.parametrize("conditions", DIRECT_AND_DELAYED.values(), ids=DIRECT_AND_DELAYED)
def test_a_black_hole_delays_everything_until_it_ends(conditions: Conditions) -> None:
    """Neither old nor new connections receive anything within it; afterwards all data arrives in order."""
    with connected(conditions) as pair:
        pair.client.sendall(b"before ")
        assert read(pair.server, 7) == b"before "
        with pair.proxy.black_hole():
            pair.client.sendall(b"lost? ")
            pair.server.sendall(b"to the client")
            pair.client.sendall(b"no")
            with connect_to(pair.proxy) as new:
                new.sendall(b"hello")
                assert receives_nothing(pair.server)
                assert receives_nothing(pair.client)
                assert receives_nothing(new)
            pair.client.shutdown(socket.SHUT_WR)
        assert read_all(pair.server) == b"lost? no"
        assert read(pair.client, 13) == b"to the client"


def test_a_black_hole_also_pauses_a_full_connection() -> None:
    """A reader with buffer space again receives nothing of the held data until the black hole ends."""
    with connected(Conditions(rtt_ms=1)) as pair:
        sent_bytes = fill(pair.client)
        with pair.proxy.black_hole():
            held_bytes = pair.proxy.traffic().held_bytes
            received_bytes = drain(pair.server)
            assert receives_nothing(pair.server)
            assert pair.proxy.traffic().held_bytes >= held_bytes > 0
        assert len(read(pair.server, sent_bytes - received_bytes)) == sent_bytes - received_bytes


def test_refuse_refuses_new_connections_only() -> None:
    """New connections are refused and open ones work; afterwards new ones are accepted at the same port."""
    with connected(Conditions()) as pair:
        with pair.proxy.refuse():
            with pytest.raises(ConnectionRefusedError):
                connect_to(pair.proxy)
            pair.proxy.reset()
            with pytest.raises(ConnectionResetError):
                pair.client.recv(1)
        with connect_to(pair.proxy):
            assert eventually(lambda: pair.proxy.traffic().open == 1)


def test_many_connections_at_once() -> None:
    """Two hundred connections each get their own replies."""
    with echo_server() as server, link(server, Conditions(rtt_ms=5, jitter_ms=2)) as proxy, ExitStack() as stack:
        clients = [stack.enter_context(connect_to(proxy)) for _ in range(200)]
        for number, client in enumerate(clients):
            client.sendall(ECHO + b"%04d" % number)
        for number, client in enumerate(clients):
            assert read(client, 4) == b"%04d" % number
        assert proxy.traffic().open == 200
        assert proxy.traffic().accepted == 200


def test_a_slow_reader_stops_the_writer() -> None:
    """Without a reader the proxy accepts no more than its window, its memory stays bounded, and it loses nothing."""
    with connected(Conditions(rtt_ms=1)) as pair:
        proxy = psutil.Process(pair.proxy.pid)
        before_bytes = proxy.memory_info().rss
        sent_bytes = fill(pair.client)
        assert sent_bytes < 2**28
        limit_bytes = window_bytes(Conditions(rtt_ms=1)) + 2**18
        assert 0 < pair.proxy.traffic().held_bytes <= limit_bytes
        assert proxy.memory_info().rss - before_bytes < 2 * limit_bytes
        pair.client.shutdown(socket.SHUT_WR)
        assert len(read_all(pair.server)) == sent_bytes


def test_one_process_can_relay_to_several_targets() -> None:
    """Each target has its own port, and the counters are those of all targets together."""
    with listening() as one, listening() as other, links([one.getsockname(), other.getsockname()]) as proxy, ExitStack() as stack:
        for listener, port in zip((one, other), proxy.ports, strict=True):
            client = stack.enter_context(socket.create_connection((proxy.host, port), timeout=TIMEOUT_S))
            server = stack.enter_context(accept(listener))
            client.sendall(b"question")
            assert read(server, 8) == b"question"
            server.sendall(b"reply")
            assert read(client, 5) == b"reply"
        assert (proxy.traffic().accepted, proxy.traffic().open, proxy.traffic().round_trips) == (2, 2, 2)


def test_a_name_with_several_addresses_is_the_one_that_listens() -> None:
    """A server that listens on ::1 only is reached by the name localhost."""
    if not any(family == socket.AF_INET6 for family, *_ in socket.getaddrinfo("localhost", 1)):
        pytest.skip("localhost has no IPv6 address here")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        listener.settimeout(TIMEOUT_S)
        with link(("localhost", listener.getsockname()[1]), Conditions()) as proxy:
            accept(listener).close()  # the proxy's check
            with connect_to(proxy) as client, accept(listener) as server:
                client.sendall(b"hello")
                assert read(server, 5) == b"hello"


def test_a_refusing_target_is_a_reset() -> None:
    """The client's connection is reset, and the proxy keeps running: later connections reach a target that listens again."""
    with listening() as listener:
        address = listener.getsockname()
    with link(address, Conditions()) as proxy:
        with pytest.raises(ConnectionResetError), connect_to(proxy) as client:
            client.recv(1)
        assert proxy.traffic().open == 0
        with socket.create_server(address) as again, connect_to(proxy):
            again.settimeout(TIMEOUT_S)
            accept(again).close()


@pytest.mark.parametrize("target", [("127.0.0.1", 0), ("127.0.0.1", 70_000), ("no..host", 5432)], ids=str)
def test_an_invalid_target_is_refused(target: tuple[str, int]) -> None:
    """A port out of range or an unknown host is an error that names the target."""
    with pytest.raises(UsageError, match=rf"{target[0]}:{target[1]} is not a valid address"), link(target, Conditions()):
        pass


FAILING = """
from harness.network import relay
def fail(_):
    raise OSError(24, "Too many open files")
relay._bound = fail
relay.main()
"""


@pytest.mark.parametrize(
    ("program", "cause"),
    [("", "it exited unexpectedly; see its error above"), (FAILING, "Too many open files; fix that")],
)
def test_the_advice_fits_the_reason(monkeypatch: pytest.MonkeyPatch, program: str, cause: str) -> None:
    """A crashed proxy has printed its error; one that cannot listen has sent the reason."""
    monkeypatch.setattr(proxy_module, "python_module", lambda _: [sys.executable, "-c", program])
    with (
        pytest.raises(UsageError, match=rf"^the network proxy cannot listen on 127\.0\.0\.1: {cause}$"),
        link(("127.0.0.1", 1), Conditions()),
    ):
        pass


def test_a_command_to_a_dead_proxy_is_an_error() -> None:
    """A command to a killed proxy is an error, not an endless wait."""
    with link(("127.0.0.1", 1), Conditions()) as proxy:
        os.kill(proxy.pid, signal.SIGKILL)
        with pytest.raises(UsageError, match="exited unexpectedly"):
            proxy.reset()


def test_the_process_ends_with_the_context() -> None:
    """The process is gone after the context, even with open connections."""
    with connected(Conditions(rtt_ms=1)) as pair:
        pid = pair.proxy.pid
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_the_process_ends_with_a_killed_parent() -> None:
    """The process exits by itself when its parent is killed."""
    program = (
        "from harness.network import Conditions, link\n"
        "with link(('127.0.0.1', 1), Conditions(rtt_ms=1)) as proxy:\n"
        "    print(proxy.pid, flush=True)\n"
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
    ("rtt_ms", "median_ms", "ok"), [(0, 0.29, True), (1, 0.69, False), (1, 1.31, False), (25, 26.2, True), (25, 23.7, False)]
)
def test_accuracy_is_judged_by_the_median(rtt_ms: float, median_ms: float, ok: bool) -> None:
    """The median of the added latency may be off by 5 % or 0.3 ms, whichever is larger."""
    proxied_ns = [round((median_ms + 0.1 + off / 1000) * 1e6) for off in range(-50, 51)]
    found = added_latency(rtt_ms, [100_000] * 5, proxied_ns)
    assert found.ok is ok
    assert found.median_ms == pytest.approx(median_ms)
    assert found.error_ms == pytest.approx(median_ms - rtt_ms)
    assert found.p5_ms < found.median_ms < found.p95_ms
    assert found.p99_ms is None
    assert added_latency(rtt_ms, [100_000], proxied_ns * 10).p99_ms is not None


def test_a_delay_between_the_two_clocks_never_makes_a_chunk_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's timestamp is on another clock: a millisecond lost between both reads makes a chunk late by at most that."""
    passed_ns, second_ns = itertools.count(0, 1_000_000), 10**9
    monkeypatch.setattr(time, "time_ns", lambda: 100 * second_ns + next(passed_ns))
    monkeypatch.setattr(time, "monotonic_ns", lambda: 7 * second_ns + next(passed_ns))
    stamp = relay._TIMESTAMP.pack(99, 998_000_000)
    found_ns = relay._sent_ns([(socket.SOL_SOCKET, relay._SO_TIMESTAMPNS, stamp)])
    assert 0 <= found_ns - 6_998_000_000 <= 1_000_000


def test_measured_round_trips_include_the_latency() -> None:
    """Through a proxy no round trip is shorter than configured, on one connection or on several that alternate."""
    with echo_server() as server, link(server, Conditions(rtt_ms=12)) as proxy:
        taken_ns = round_trips_ns((proxy.host, proxy.port), 12, 40)
        assert len(taken_ns) == 40
        assert min(taken_ns) >= 12_000_000
        assert all(speed > 0 for speed in transfers_mb_per_s((proxy.host, proxy.port), 2**20))
