"""Training files at the vendor: uploaded once for one content, waited for within bounds, deleted when they have served.

A file's name carries a digest of its content, so an upload repeated after a crash finds the first one there.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx2
import openai
import structlog
from openai import OpenAI

from providers._openai_api import answers
from providers._openai_api.answers import Json
from providers._openai_api.errors import Vendor, translated
from providers.errors import InvalidRequest, NotFound, ProviderError, RateLimited, Unavailable

log = structlog.get_logger()

PURPOSE = "fine-tune"
PREFIX = "finetune-bot-"
"""How the names of files that we uploaded begin: no other file there is ever deleted."""
MIB = 1024 * 1024

_PROCESSED = frozenset({"processed", "succeeded"})
_BROKEN = frozenset({"error", "failed", "deleting", "deleted"})
_ASK = httpx2.Timeout(10.0, connect=5.0)


class Files:
    """A vendor's files. Safe in threads."""

    def __init__(
        self,
        client: OpenAI,
        vendor: Vendor,
        *,
        chunk_above: int = 512 * MIB,
        part_size: int = 64 * MIB,
        most: int = 8192 * MIB,
        wait_seconds: float = 20.0,
        give_up_seconds: float = 3600.0,
        upload_seconds: float = 600.0,
    ) -> None:
        """Above `chunk_above` bytes a file goes up in parts of `part_size`; above `most` it does not go at all.

        `wait` asks for `wait_seconds` at most; a file that is not ready `give_up_seconds` after its upload never
        will be. `upload_seconds` is how long the vendor may be silent while a file, or a part, goes up.
        """
        self._client = client.with_options(max_retries=0)
        self._vendor = vendor
        self._chunk_above, self._part_size, self._most = chunk_above, part_size, most
        self._wait_seconds, self._give_up_seconds = wait_seconds, give_up_seconds
        self._upload_timeout = httpx2.Timeout(upload_seconds, connect=5.0)

    def upload(self, path: Path, name: str) -> str:
        """The id of this file at the vendor; uploaded unless one of this name and content is there already.

        `name` says what it is for: "run-12-train".
        """
        if not path.is_file():
            raise InvalidRequest("The training file is not there any more. Attach the dataset again.")
        size = path.stat().st_size
        if size > self._most:
            raise InvalidRequest(
                f"The training file has {size / 1024**3:.1f} GiB; {self._vendor.name} takes {self._most / 1024**3:.0f}."
            )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        filename = f"{PREFIX}{name}-{digest[:16]}.jsonl"
        known = self._find(filename, size)
        if known is not None:
            return known
        with translated(self._vendor, "file"):
            if size > self._chunk_above:
                return self._upload_in_parts(path, filename, size)
            with path.open("rb") as file:
                raw = self._client.files.with_raw_response.create(
                    file=(filename, file, "application/jsonl"), purpose="fine-tune", timeout=self._upload_timeout
                )
        return self._id(answers.read(raw, self._vendor))

    def wait(self, file_ids: Sequence[str]) -> None:
        """Return once all of them can be trained on.

        Raises Unavailable if that may still come (ask again later), InvalidRequest if it will not.
        """
        until, pause = time.monotonic() + self._wait_seconds, 0.2
        waiting = list(file_ids)
        while True:
            waiting = [one for one in waiting if not self._is_ready(one)]
            if not waiting:
                return
            if time.monotonic() + pause > until:
                text = f"{self._vendor.name} still reads the training file. We ask again."
                raise Unavailable(text, retry_after=30.0)
            time.sleep(pause)
            pause = min(pause * 1.7, 5.0)

    def delete(self, file_id: str, timeout: float = 10.0) -> None:
        """Delete a file that we uploaded; one that is not there, or is not ours, is left as it is.

        `timeout` seconds are for each of two requests.
        """
        limits = httpx2.Timeout(timeout)
        files = self._client.files.with_streaming_response
        try:
            with translated(self._vendor, "file"):
                found = answers.bounded(
                    files.retrieve(file_id, timeout=limits), self._vendor, time.monotonic() + timeout
                )
                if answers.text(answers.read(found, self._vendor), "filename").startswith(PREFIX):
                    with files.delete(file_id, timeout=limits):
                        pass  # what it says beyond its status is not read
        except NotFound:
            log.debug("file_was_gone", file_id=file_id)

    def discard(self, file_ids: Sequence[str], seconds: Callable[[], float] = lambda: 60.0) -> None:
        """Delete what has served, as far as that works and `seconds` are left; what stays there is logged."""
        for file_id in file_ids:
            left = seconds()
            try:
                if left < 0.3:
                    raise Unavailable("There was no time left.")
                self.delete(file_id, min(left / 2, 10.0))
            except ProviderError as error:
                log.warning("file_not_deleted", file_id=file_id, error=type(error).__name__)

    def _find(self, filename: str, size: int) -> str | None:
        """The file of this name and size, if an earlier upload of it can be seen."""

        def ask(query: Json) -> answers.Raw:
            return self._client.files.with_raw_response.list(extra_query=dict(query), timeout=_ASK)

        query = {"purpose": PURPOSE, "order": "desc"}
        try:
            with translated(self._vendor, "file"):
                for one in answers.pages(ask, self._vendor, limit=1000, most=3, query=query):
                    is_it = answers.text(one, "filename") == filename and answers.whole(one, "bytes") == size
                    file_id = answers.identifier(one, "id")
                    if is_it and file_id and answers.text(one, "status") not in _BROKEN:
                        return file_id
        except RateLimited:
            raise
        except ProviderError as error:  # a second upload is the lesser evil
            log.warning("files_not_listed", error=type(error).__name__, detail=error.detail)
        return None

    def _is_ready(self, file_id: str) -> bool:
        with translated(self._vendor, "file"):
            file = answers.read(self._client.files.with_raw_response.retrieve(file_id, timeout=_ASK), self._vendor)
        status = answers.text(file, "status")
        if status in _PROCESSED or not status:  # the field is on its way out
            return True
        if status in _BROKEN:
            said = self._vendor.clean(file.get("status_details"))
            raise InvalidRequest(f"{self._vendor.name} cannot use the training file. {said}".strip())
        created = answers.number(file, "created_at")
        if created is not None and time.time() - created > self._give_up_seconds:
            minutes = round(self._give_up_seconds / 60)
            raise InvalidRequest(
                f"{self._vendor.name} has not become ready with the training file in {minutes} minutes. Start again; "
                "if that repeats, ask its support."
            )
        return False

    def _upload_in_parts(self, path: Path, filename: str, size: int) -> str:
        """Like the client library's `upload_file_chunked`, but with a checksum, and cancelled if it breaks off."""
        uploads = self._client.with_options(timeout=self._upload_timeout).uploads
        begun = answers.read(
            uploads.with_raw_response.create(
                bytes=size, filename=filename, mime_type="application/jsonl", purpose="fine-tune"
            ),
            self._vendor,
        )
        upload_id = self._id(begun)
        try:
            parts, checksum = [], hashlib.md5(usedforsecurity=False)
            with path.open("rb") as file:
                while data := file.read(self._part_size):
                    checksum.update(data)
                    part = uploads.parts.with_raw_response.create(upload_id, data=data)
                    parts.append(self._id(answers.read(part, self._vendor)))
            done = uploads.with_raw_response.complete(upload_id, part_ids=parts, md5=checksum.hexdigest())
        except (openai.OpenAIError, httpx2.HTTPError, ProviderError):
            with suppress(openai.OpenAIError, httpx2.HTTPError):
                uploads.with_raw_response.cancel(upload_id)
            raise
        return self._id(answers.inside(answers.read(done, self._vendor), "file"))

    def _id(self, file: Json) -> str:
        file_id = answers.identifier(file, "id")
        if not file_id:
            raise Unavailable(f"{self._vendor.name} did not say where it put the training file. Try again.")
        return file_id
