import pytest


def rows(n):
    for i in range(n):
        yield i * i


def work(n=2000):
    return sum(i * i for i in range(n))


def test_sum(benchmark):
    benchmark(work)


def test_generator(benchmark):
    benchmark(rows, 1_000_000)


@pytest.mark.parametrize("n", [1, 2, 10, 2, 1])
def test_param(benchmark, n):
    benchmark(work, n * 100)
