"""`harness doctor`: its result as JSON and as text."""

import json
import re

import pytest

from harness.cli import main
from harness.doctor import measure as measuring
from harness.doctor.verdict import Grade, Machine, check_up
from harness.stats.noise import Noise


@pytest.mark.slow
def test_json_has_the_grade_and_the_detectable_changes(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has the grade and the smallest detectable changes; the exit code follows from the grade."""
    code = main(["doctor", "--quick", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["grade"] in list(Grade)
    assert code == (3 if found["grade"] == "poor" else 0)
    assert [v["seconds"] for v in found["detectable"]] == [10, 60, 300]
    assert found["noise"]["number"] == 4


def test_a_poor_machine_gets_reasons_and_remedies(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reason is a line with its remedy; an unknown value is a dash; the exit code is 3."""
    noise = Noise(
        operation=0.1, pair=0.1, processes=0.4, process_pairs=0.5, drift=0.3, operation_s=0.001, process_pair_s=20.0, number=2
    )
    machine = Machine(1, False, "not readable", 0.0, None, 1.0, 40, 80.0, None, None)  # noqa: FBT003 - not pinned
    monkeypatch.setattr(measuring, "examine", lambda _: check_up(machine, noise))
    assert main(["doctor"]) == 3
    said = capsys.readouterr().out
    assert re.search(r"^two versions in alternating processes .*–", said, re.MULTILINE)
    assert "between processes: two processes of the same code" in said
    assert "drift: the same work took 30 % longer in the second half; wait" in said
    assert "not pinned: " in said
    assert "This machine is poor: " in said
