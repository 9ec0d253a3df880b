"""Answer every question with a known answer and write the page."""

import sys
from pathlib import Path

import tools.validation
from tools.questions import Questions

QUESTIONS = Questions(
    tools.validation,
    Path("reports/published/validation.md"),
    "Validation against known answers",
    "Questions whose answers are known: the measured value next to the true one.",
)

if __name__ == "__main__":
    sys.exit(QUESTIONS.main())
