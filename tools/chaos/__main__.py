"""Break the harness in every way that is known and write the page."""

import sys
from pathlib import Path

import tools.chaos
from tools.questions import Questions

QUESTIONS = Questions(
    tools.chaos,
    Path("docs/results/chaos.md"),
    "What the harness survives",
    "Kills, signals, faults and hostile input: what happened, and what must not.",
)

if __name__ == "__main__":
    sys.exit(QUESTIONS.main())
