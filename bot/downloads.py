"""Slack's files into storage: only what Slack itself hosts, from its own host, within the size limit."""

import tempfile
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from bot import client as slack_client
from bot.settings import SlackSettings
from workers import uploads
from workers.context import Context
from workers.errors import FileRefused, RetryLater
from workers.tables import Upload, UploadStatus
from workers.tasks import Lease

log = structlog.get_logger()

TIMEOUT_SECONDS = 30.0
PIECE_BYTES = 1 << 20
AGAIN_SECONDS = 5.0
PATIENCE_SECONDS = 1800.0
"""How long after it was attached a file is still tried for."""
GONE = frozenset({"file_not_found", "file_deleted", "files_not_found"})


def download(context: Context, lease: Lease) -> None:
    """Bring one upload's bytes into storage, or refuse it with words. The task of kind "download"."""
    with context.db.read() as session:
        upload = session.get_one(Upload, lease.task.subject_id)
    if upload.status is not UploadStatus.RECEIVED:
        with lease.finish():
            return
    slack, client = slack_client.of_this_process()
    try:
        key = _fetch(context, slack, client, upload)
    except FileRefused as error:
        uploads.refused(lease, upload.id or 0, error.user_message)
    except RetryLater as error:
        if lease.task.created_at + PATIENCE_SECONDS > time.time():
            raise
        log.warning("download_given_up", upload_id=upload.id, reason=str(error))
        words = "Slack did not hand it out for half an hour. Please attach it again."
        uploads.refused(lease, upload.id or 0, words)
    else:
        uploads.stored(lease, upload.id or 0, key)


def _fetch(context: Context, slack: SlackSettings, client: WebClient, upload: Upload) -> str:
    """The storage key of the file. Raises FileRefused, RetryLater."""
    try:
        file = client.files_info(file=upload.slack_file_id)["file"]
    except SlackApiError as error:
        problem = str(error.response.get("error"))
        if problem in GONE:
            raise FileRefused("It was deleted before it could be read. Please attach it again.") from error
        if problem in {"missing_scope", "not_allowed_token_type"}:
            raise FileRefused("The app may not read files. An admin must add the scope files:read.") from error
        raise RetryLater(problem, float(error.response.headers.get("Retry-After") or AGAIN_SECONDS)) from error
    except (SlackClientError, OSError) as error:
        raise RetryLater(type(error).__name__, AGAIN_SECONDS) from error
    url = checked_url(slack, file)
    most = context.settings.max_upload_bytes
    size = int(file.get("size") or 0)
    if size > most:
        raise FileRefused(_too_large(most))
    with tempfile.TemporaryDirectory(prefix="finetune-bot-") as folder:
        path = Path(folder) / "download"
        try:
            got = _stream(slack, url, path, most, claimed_type=str(file.get("mimetype") or ""))
        except (OSError, HTTPException) as error:
            raise RetryLater(type(error).__name__, AGAIN_SECONDS) from error
        if size and got != size:
            raise RetryLater(f"{got} of {size} bytes came", AGAIN_SECONDS)
        key = f"uploads/{upload.id}"
        context.storage.put(key, path)
        return key


def checked_url(slack: SlackSettings, file: dict[str, Any]) -> str:
    """Where the file's bytes are, if that is Slack itself. Raises FileRefused."""
    if file.get("is_external") or file.get("mode") not in {"hosted", "snippet"}:
        raise FileRefused("It is only a link to somewhere else. Download it and attach the file itself.")
    url = str(file.get("url_private_download") or file.get("url_private") or "")
    parts = urlsplit(url)
    home = urlsplit(slack.api_url)
    if slack.is_slack:
        ours = parts.scheme == "https" and parts.port is None and (parts.hostname or "").endswith(".slack.com")
    else:
        ours = (parts.scheme, parts.hostname, parts.port) == (home.scheme, home.hostname, home.port)
    if not ours:
        log.warning("file_elsewhere", host=parts.hostname)
        raise FileRefused("It is not kept by Slack itself. Download it and attach the file itself.")
    return url


def _stream(slack: SlackSettings, url: str, path: Path, most: int, *, claimed_type: str) -> int:
    """Write the bytes to `path` as they come and return how many. Raises FileRefused, OSError."""
    token = slack.bot_token.get_secret_value()
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 -- checked above
    opener = urllib.request.build_opener(_SameHost(url))
    got = 0
    with opener.open(request, timeout=TIMEOUT_SECONDS) as answer, path.open("wb") as out:
        if answer.headers.get_content_type() == "text/html" and claimed_type != "text/html":
            raise FileRefused("Slack gave a log-in page instead of it. An admin must add the scope files:read.")
        while piece := answer.read(PIECE_BYTES):
            got += len(piece)
            if got > most:
                raise FileRefused(_too_large(most))
            out.write(piece)
    return got


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only within one host and its scheme, as the token goes along."""

    def __init__(self, url: str) -> None:
        self._place = urlsplit(url)[:2]

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl)[:2] != self._place:
            raise FileRefused("Slack wanted to hand it out from another host, which is not followed.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _too_large(most: int) -> str:
    limit = f"{most / 1e6:,.1f} MB" if most >= 100_000 else f"{most:,} bytes"
    return f"It is over this installation's limit of {limit}. Attach a part of it, or ask an admin to raise the limit."
