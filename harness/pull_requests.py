"""A comment on the pull request of GitHub, or the merge request of GitLab, whose job this is; posted once, then replaced."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from harness.errors import UsageError

PAGE, MOST_PAGES = 100, 100
"""The comments of a page, and the most pages that are looked through for the comment to replace."""
TIMEOUT_S = 30.0
MOST = 65_536
"""The most characters of a comment on GitHub."""
REFUSED = {
    401: "the token is not valid",
    403: "the token may not write comments; for a pull request from a fork it never may",
    404: "the token may not see it, or it does not exist",
}


@dataclass(frozen=True)
class PullRequest:
    """The request that a job is about."""

    name: str
    """Its name in messages."""
    comments: str
    """The address of its comments."""
    comment: str
    """The address of one comment, before its number."""
    update: str
    """The method that replaces a comment."""
    headers: Mapping[str, str]

    def replace_comment(self, marker: str, text: str) -> str:
        """Post `text` below the invisible `marker`, in place of the first comment that begins with it; return what was done.

        Raises:
            UsageError: the server refuses, cannot be reached, or the text is too long.
        """
        body = f"{marker}\n{text}"
        if len(body) > MOST:
            raise UsageError(f"a comment has at most {MOST:,} characters, not {len(body):,}; shorten the text")
        for found in self._comments():
            if str(found.get("body", "")).startswith(marker):
                self._send(self.update, f"{self.comment}/{found['id']}", {"body": body})
                return f"replaced the comment on {self.name}"
        self._send("POST", self.comments, {"body": body})
        return f"commented on {self.name}"

    def _comments(self) -> Iterator[Mapping[str, Any]]:
        for page in range(1, MOST_PAGES + 1):
            found = self._send("GET", f"{self.comments}?per_page={PAGE}&page={page}")
            yield from found
            if len(found) < PAGE:
                return

    def _send(self, method: str, address: str, content: Mapping[str, str] | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        headers = {**self.headers, "Content-Type": "application/json", "User-Agent": "harness"}
        request = Request(address, body, headers, method=method)  # noqa: S310 - `of_job` checks the scheme
        try:
            with build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                reason = REFUSED.get(error.code, f"the server answered {error.code} {error.reason}")
            raise UsageError(f"cannot comment on {self.name}: {reason}; docs/ci.md has the permissions") from error
        except (OSError, ValueError, HTTPException) as error:
            raise UsageError(f"cannot comment on {self.name}: {error}; look at the connection and its proxy") from error


class _NoRedirect(HTTPRedirectHandler):
    """Follow no redirect: the token would be sent to the other address."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse."""


def of_job(environment: Mapping[str, str]) -> PullRequest | None:
    """Return the request that a job of GitHub Actions or GitLab CI is about; None if it is about none.

    Raises:
        UsageError: the job has no token, or an address that is not one of HTTP.
    """
    number = re.match(r"refs/pull/(\d+)/", environment.get("GITHUB_REF", ""))
    merge_request = environment.get("CI_MERGE_REQUEST_IID")
    if number:
        address = f"{_address(environment, 'GITHUB_API_URL')}/repos/{environment.get('GITHUB_REPOSITORY', '')}/issues"
        headers = {"Authorization": f"Bearer {_token(environment, 'GITHUB_TOKEN')}", "Accept": "application/vnd.github+json"}
        comments = f"{address}/{number[1]}/comments"
        return PullRequest(f"pull request {number[1]}", comments, f"{address}/comments", "PATCH", headers)
    if merge_request:
        project = environment.get("CI_MERGE_REQUEST_PROJECT_ID") or environment.get("CI_PROJECT_ID", "")
        notes = f"{_address(environment, 'CI_API_V4_URL')}/projects/{project}/merge_requests/{merge_request}/notes"
        headers = {"PRIVATE-TOKEN": _token(environment, "GITLAB_TOKEN")}
        return PullRequest(f"merge request {merge_request}", notes, notes, "PUT", headers)
    return None


def _address(environment: Mapping[str, str], name: str) -> str:
    address = environment.get(name, "")
    if not re.match(r"https?://", address):
        raise UsageError(f"{name} is {address!r}, not an address of HTTP; this is not a job of GitHub Actions or GitLab CI")
    return address


def _token(environment: Mapping[str, str], name: str) -> str:
    token = environment.get(name, "")
    if not token:
        raise UsageError(f"the environment variable {name} has no token; docs/ci.md has where it comes from")
    return token
