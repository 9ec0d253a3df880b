"""The text of the rows: Faker fills pools once per process and seed, and rows take slices and choices of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

SLAB_CHARS = 1 << 18
MAX_TEXT_CHARS = 32_000
NAME_CHARS = (10, 80)
LANGUAGES = {"English": 0.60, "Japanese": 0.35, "mixed, with emoji": 0.05}  # share of the texts in each slab, in their order


@dataclass(frozen=True)
class WordPools:
    """Text to draw from."""

    slabs: tuple[str, ...]  # one long text per language of LANGUAGES, of SLAB_CHARS characters each
    titles: NDArray[np.object_]  # titles per language; shape (languages, titles)
    names: NDArray[np.object_]  # names of test cases and templates, in every language

    def texts(self, languages: NDArray[np.uint8], lengths_chars: NDArray[np.int64], draws: NDArray[np.uint64]) -> list[str]:
        """Return one slice of a slab per row, at the position given by its draw."""
        starts = draws % np.uint64(SLAB_CHARS - MAX_TEXT_CHARS)
        slabs = self.slabs
        return [
            slabs[language][start : start + length]
            for language, start, length in zip(languages.tolist(), starts.tolist(), lengths_chars.tolist(), strict=True)
        ]


@lru_cache(maxsize=2)
def pools(seed: int) -> WordPools:
    """Return the pools of a seed, in a fraction of a second the first time. Raises ModuleNotFoundError without Faker."""
    from faker import Faker  # noqa: PLC0415 - 0.1 s that code which only needs sizes should not pay for

    english, japanese = Faker("en_US"), Faker("ja_JP")
    english.seed_instance(seed)
    japanese.seed_instance(seed)
    emoji = cycle("🙂🚀✅📝🔥🤖💡🎯")

    def mixed() -> str:
        return f"{english.sentence()} {next(emoji)} {japanese.sentence()}"

    def name() -> str:
        return str(english.catch_phrase())

    speakers = (english.sentence, japanese.sentence, mixed)
    names = [_spoken(speak, *NAME_CHARS) for speak in (name, japanese.sentence) for _ in range(512)]
    return WordPools(
        slabs=(_slab(english.paragraph, " "), _slab(japanese.paragraph, ""), _slab(mixed, " ")),
        titles=np.array([[_spoken(speak, 20, 60) for _ in range(2_048)] for speak in speakers], dtype=object),
        names=np.array(names, dtype=object),
    )


def _slab(speak: Callable[[], str], between: str) -> str:
    spoken: list[str] = []
    missing_chars = SLAB_CHARS
    while missing_chars > 0:
        spoken.append(speak())
        missing_chars -= len(spoken[-1])
    return between.join(spoken)[:SLAB_CHARS]


def _spoken(speak: Callable[[], str], low_chars: int, high_chars: int) -> str:
    """Return sentences until the text is long enough, truncated to the limit."""
    text = speak()
    while len(text) < low_chars:
        text = f"{text} {speak()}"
    return text[:high_chars].rstrip()
