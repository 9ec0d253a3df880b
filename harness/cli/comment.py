"""Replace the comment on the pull request of this job.

FILE is Markdown, such as `harness gate --markdown FILE` writes. On GitHub the token is in GITHUB_TOKEN, with the permission
`pull-requests: write`; on GitLab, where it is the merge request, in GITLAB_TOKEN: a project access token with the scope api. Where
there is no comment yet it is posted; in a job that is about neither, nothing is.
"""

import argparse
import os
import re

from harness import options as converters
from harness.cli import _options
from harness.errors import UsageError

NAME = "performance"
MOST_BYTES = 2**20
"""More than a comment may have on either service."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=converters.path, metavar="FILE", help="file of Markdown")
    _options.value(parser, "--name NAME", _name, "name of the comment: one of each name is kept", NAME)


def run(options: argparse.Namespace) -> int:
    """Post the comment or replace it, print which, and return 0."""
    from harness.cli import _console
    from harness.pull_requests import of_job
    from harness.results.compressed import bytes_of

    try:
        text = bytes_of(options.file, MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read {options.file}: {getattr(error, 'strerror', None) or error}; name a file of Markdown"
        ) from error
    request = of_job(os.environ)
    done = request.replace_comment(f"<!-- harness: {options.name} -->", text) if request else None
    _console.print_lines(done or "not a pull request or merge request: no comment")
    return 0


def _name(text: str) -> str:
    if not re.fullmatch(r"\w[\w .]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid name; use letters, digits, blanks, '_' and '.'")
    return text
