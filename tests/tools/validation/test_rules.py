"""Other tools' rules, on times that leave no warning, and at their lines."""

import numpy as np
import pytest

from harness.stats.sequential_test import FASTER, SLOWER
from tools.load_generator.programs import is_installed
from tools.validation.other_rules import RULES, Rule
from tools.validation.paired_time import Stream

NOISE = np.random.default_rng(2).normal(1e6, 1e3, (2, 60))


def stream(factor: float) -> Stream:
    """Return times with little noise, the second side's longer by a factor."""
    return Stream(0, NOISE[0].tolist(), (NOISE[1] * factor).tolist(), [])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_sees_what_is_plain(rule: Rule) -> None:
    """Twice the time is slower; half of it is faster, but for a gate that looks one way alone."""
    if not is_installed(rule.needs):
        pytest.skip(f"{rule.needs} is not installed")
    assert rule.decide(stream(2.0)) == SLOWER
    assert rule.decide(stream(0.5)) == (None if "%" in rule.name else FASTER)


@pytest.mark.parametrize("rule", [rule for rule in RULES if "%" in rule.name], ids=lambda rule: rule.name)
def test_a_gate_of_five_per_cent_begins_there(rule: Rule) -> None:
    """Four per cent pass and six fail."""
    assert rule.decide(stream(1.04)) is None
    assert rule.decide(stream(1.06)) == SLOWER


def test_ours_lets_the_margin_be() -> None:
    """Half a per cent is within the margin."""
    assert RULES[0].decide(stream(1.005)) is None


def test_a_rule_whose_package_is_missing_says_so() -> None:
    """It is known before it is tried."""
    assert not is_installed("no_such_package_anywhere")
