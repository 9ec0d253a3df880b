"""The table `prompt_templates`: few rows, some of them used very often."""

from datasets.block import Block
from datasets.ids import row_ids
from datasets.pools import LANGUAGES, MAX_TEXT_CHARS, pools
from datasets.quantiles import Choice, log_normal
from datasets.streams import Purpose, lanes, raw

DESCRIPTION = {
    "id": "UUID v4 from the stream",
    "name": "10-80 characters, English and Japanese",
    "category": "one of 12, uniform",
    "usage_count": "log-normal, median 20, sigma 2.0, 0-1 000 000",
    "content": "as the prompts'",
}

_CATEGORIES = (
    "analysis", "chat", "classification", "code", "education", "extraction",
    "marketing", "research", "support", "summary", "translation", "writing",
)  # fmt: skip
_CATEGORY = Choice(dict.fromkeys(_CATEGORIES, 1 / len(_CATEGORIES)))
_LANGUAGE = Choice(LANGUAGES)


def prompt_templates_block(seed: int, index: int, rows: int) -> Block:
    """Return the first `rows` rows of a block of prompt templates."""
    category, name, usage, speech = lanes(raw(seed, Purpose.TEMPLATE_STATE, index, rows))
    drawn = raw(seed, Purpose.TEMPLATE_TEXT, index, 2 * rows).reshape(-1, 2)
    length, *_ = lanes(drawn[:, 0].copy())
    words = pools(seed)
    lengths_chars = log_normal(1_400, 1.0, 20, MAX_TEXT_CHARS)[length]
    return Block(
        "prompt_templates",
        index,
        {
            "id": list(row_ids(seed, Purpose.TEMPLATE_ID, index, rows)),
            "name": words.names[name % len(words.names)].tolist(),
            "category": _CATEGORY.labels(_CATEGORY.codes(category)),
            "usage_count": log_normal(20, 2.0, 0, 1_000_000)[usage],
            "content": words.texts(_LANGUAGE.codes(speech), lengths_chars, drawn[:, 1]),
        },
    )
