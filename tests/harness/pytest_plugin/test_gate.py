"""`--harness-compare-fail` on scenarios, through real pytest processes: work counts and paired ratios fail items."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

QUICK = ("--harness-budget", "0.5", "--harness-processes", "2")
GATE = ("trials", "--benchmark-compare", "--harness-compare-fail=10000000%", "--junitxml=junit.xml", *QUICK)
"""The limit is so wide that the ratio of identical code stays inside."""


def failed(measured: Any) -> dict[str, str]:
    """Return the failed items of the JUnit file with their messages."""
    found = ET.parse(measured.path / "junit.xml").iter("testcase")
    return {case.attrib["name"]: child.attrib["message"] for case in found for child in case if child.tag == "failure"}


def infos(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the saved items of a run."""
    return [bench["extra_info"]["harness"] for bench in data["benchmarks"]]


@pytest.mark.slow
def test_one_step_more_is_a_failed_item_and_is_not_saved(measured: Any) -> None:
    """Equal work passes; more of it fails the item, also in JUnit, and the run does not become the next baseline."""
    (saved,) = measured.saved
    done = measured.pytest(*GATE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert failed(measured) == {}
    measured.replace("trials/adding.py", "+= 1 if instance", "+= 2 if instance")
    done = measured.pytest(*GATE, "--benchmark-autosave")
    assert done.returncode == 1
    ((name, message),) = failed(measured).items()
    assert name == "sum[optimised]"
    assert "work counts changed: steps 1 → 2, more, counted exactly" in message
    assert measured.saved == [saved]
    assert "not saved" in done.stdout


@pytest.mark.slow
def test_a_ratio_wholly_beyond_the_limit_is_a_failed_item_and_thresholds_are_advised_against(measured: Any, doctor: Any) -> None:
    """A lost gain is found from the intervals; pytest-benchmark's own threshold does not judge pairs."""

    def better(data: dict[str, Any]) -> None:
        for info in infos(data):
            if info["arm"] == "optimised":
                info["control_95"] = [1, 1]
                info["interval_95"] = [1e15 * x for x in info["interval_95"]]
                info["times_faster"] *= 1e15

    doctor(measured.saved[0], better)
    three = "--harness-processes=3"  # the interval over two processes may be arbitrarily wide
    done = measured.pytest(*GATE, three, "--benchmark-compare-fail=median:100000%")
    assert done.returncode == 1, done.stdout
    ((name, message),) = failed(measured).items()
    assert name == "sum[optimised]"
    assert "the whole interval is more than 1e+07 % below" in message
    assert "the intervals are apart, it gains less" in done.stdout
    assert "for scenarios use the paired verdict: --harness-compare-fail=25%" in done.stdout


@pytest.mark.slow
def test_on_another_machine_only_work_counts_are_compared(measured: Any, doctor: Any) -> None:
    """Ratios from another CPU are refused, counts are not; with other data nothing is comparable, and that fails."""
    (saved,) = measured.saved
    doctor(saved, lambda data: [info["environment"].update(cpu="Abacus") for info in infos(data)])
    done = measured.pytest(*GATE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ratios not compared: another machine or interpreter: cpu Abacus and ") == 2
    assert done.stdout.count("work counts equal (") == 3
    doctor(saved, lambda data: [info["dataset"].update(digest="other") for info in infos(data)])
    done = measured.pytest(*GATE)
    assert done.returncode == 1
    assert sorted(failed(measured)) == ["sum[baseline]", "sum[optimised]", "sum[proposed]"]
    assert "nothing could be compared: work counts not comparable: the data differ" in done.stdout


@pytest.mark.slow
def test_a_run_of_an_earlier_version_is_not_comparable(measured: Any, doctor: Any) -> None:
    """Its items have another schema, which fails."""
    doctor(measured.saved[0], lambda data: [info.update(schema_version=1) for info in infos(data)])
    done = measured.pytest(*GATE)
    assert done.returncode == 1
    assert "saved with schema 1, this harness reads 3; save a new run" in failed(measured)["sum[baseline]"]


@pytest.mark.slow
def test_an_arm_that_no_longer_runs_fails(measured: Any) -> None:
    """If it is in the saved run, it fails, since a skip would look like a pass."""
    measured.replace("trials/adding.py", "return sum(list(range(case.args)))", 'raise OSError("gone")')
    measured.replace("trials/adding.py", '@demonstrates("the proposal still makes a list")', "")
    done = measured.pytest(*GATE)
    assert done.returncode == 1
    assert "it is in the saved run, and cannot be compared now: cannot run as written" in failed(measured)["sum[proposed]"]
