"""The most frequent words of a text."""

import random

from words import frequent_by_counter, frequent_by_loop

from harness import Case, Group, Promise, Scenario, measured, memory_cut, speedup, times

VOCABULARY, WORDS = 2_000, 50_000


class FrequentWords(Scenario):
    """Words counted by collections.Counter."""

    arms = {"baseline": "a loop over a dictionary", "counter": "collections.Counter"}
    groups = [Group("text", "the ten most frequent of 50 000 words")]
    promises = [
        Promise("W1", "one and a half times as fast", times(1.5), speedup("text")),
        Promise("W2", "memory of the count", measured("share"), memory_cut("text")),
    ]

    def cases(self, setting):
        """Return random texts."""
        draw = random.Random(f"{setting.seed}/{setting.stream}")
        words = [f"word{n}" for n in range(VOCABULARY)]
        return [Case("text", f"text {n}", " ".join(draw.choices(words, k=WORDS))) for n in range(3)]

    def open(self, arm, setting):
        """Return the arm's function."""
        return frequent_by_loop if arm == "baseline" else frequent_by_counter

    def run(self, instance, case):
        """Count the words."""
        return instance(case.args, 10)
