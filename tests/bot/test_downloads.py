"""Files come from Slack and from nowhere else, whole or not at all."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlmodel import select

from bot import downloads
from bot.sandbox.driver import Person
from bot.settings import SlackSettings
from workers import tasks, uploads
from workers.context import Context
from workers.errors import FileRefused, RetryLater
from workers.rights import Actor
from workers.tables import Owned, Task, Upload, UploadStatus
from workers.uploads import ReceivedFile


@pytest.fixture
def fetch(context: Context, owner: Owned, slack: SlackSettings) -> Callable[..., Upload]:
    """Record a file and carry out its download; returns the upload as it is then."""

    def carry(file_id: str, **changes: object) -> Upload:
        place = Context(context.settings.model_copy(update=changes), context.db, context.storage, context.providers)
        actor = Actor(owner.team_id, owner.creator_id, owner.channel_id)
        with place.db.write() as session:
            upload = uploads.receive(session, actor, message_ts=file_id, files=[ReceivedFile(file_id, "x.jsonl")])[0]
            task = session.exec(select(Task).where(Task.kind == "download", Task.subject_id == upload.id)).one()
        lease = tasks.claim(place.db, task.id or 0, 1, place.settings.timing)
        assert lease is not None
        downloads.download(place, lease)
        with place.db.read() as session:
            return session.get_one(Upload, upload.id)

    return carry


def shared(person: Person, content: bytes) -> str:
    """The id of a file that was attached to a message."""
    ts = person.say("#finetuning", "data", files=[("a.jsonl", content)])
    return str(person.thread("#finetuning", ts)[0]["files"][0]["id"])


def test_a_file_is_stored_as_it_is(fetch, context: Context, person: Person):
    upload = fetch(shared(person, b"12345"))
    assert upload.status is UploadStatus.STORED
    with context.storage.open(upload.storage_key) as file:
        assert file.read() == b"12345"


def test_over_the_limit_is_refused_before_a_byte_is_read(fetch, person: Person):
    upload = fetch(shared(person, b"x" * 2000), max_upload_bytes=1000)
    assert upload.status is UploadStatus.REFUSED
    assert "1,000 bytes" in upload.problem


def test_a_deleted_file_is_refused_in_words(fetch):
    upload = fetch("F0NOTTHERE")
    assert upload.status is UploadStatus.REFUSED
    assert "deleted" in upload.problem


def test_a_limited_call_is_tried_later(fetch, person: Person):
    file_id = shared(person, b"12345")
    person.fault(method="files.info", kind="ratelimited", retry_after=1, times=5)
    with pytest.raises(RetryLater) as raised:
        fetch(file_id)
    assert raised.value.seconds == 1


def test_a_log_in_page_is_not_taken_for_the_file(fetch, person: Person, monkeypatch: pytest.MonkeyPatch):
    file_id = shared(person, b"12345")
    opener = downloads.urllib.request.Request
    with monkeypatch.context() as patched:  # the token is left out
        patched.setattr(downloads.urllib.request, "Request", lambda url, **_: opener(url))
        upload = fetch(file_id)
    assert upload.status is UploadStatus.REFUSED
    assert "files:read" in upload.problem


@pytest.mark.parametrize(
    "file",
    [
        {"mode": "external", "url_private": "https://evil.example/x"},
        {"mode": "hosted", "is_external": True, "url_private": "https://files.slack.com/x"},
        {"mode": "hosted", "url_private": "https://evil.example/x"},
        {"mode": "hosted", "url_private": "http://files.slack.com/x"},
        {"mode": "hosted", "url_private": "https://files.slack.com:444/x"},
        {"mode": "hosted", "url_private": "https://files.slack.com.evil.example/x"},
        {"mode": "hosted", "url_private": "https://user@evil.example/.slack.com"},
        {"mode": "hosted", "url_private": ""},
        {},
    ],
)
def test_only_slacks_own_host_is_asked(file: dict):
    with pytest.raises(FileRefused):
        downloads.checked_url(SlackSettings(), file)


@pytest.fixture
def redirecting() -> Iterator[Callable[[str], str]]:
    """A host that sends on to where it is told; returns its address."""
    seen: list[str] = []

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(302 if self.path == "/file" else 200)
            self.send_header("Location", target[0])
            self.end_headers()
            self.wfile.write(b"" if self.path == "/file" else b"bytes")

        def log_message(self, *_given: object) -> None:
            """Be quiet."""

    target = [""]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def send_to(where: str) -> str:
        target[0] = where.format(port=server.server_port)
        return f"http://127.0.0.1:{server.server_port}/file"

    yield send_to
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "elsewhere", ["https://127.0.0.1:{port}/x", "http://localhost:{port}/x", "ftp://127.0.0.1:{port}/x"]
)
def test_the_token_follows_no_redirect_elsewhere(redirecting, tmp_path: Path, elsewhere: str):
    with pytest.raises(FileRefused, match="another host"):
        downloads._stream(SlackSettings(), redirecting(elsewhere), tmp_path / "x", 100, claimed_type="")


def test_a_redirect_within_the_host_is_followed(redirecting, tmp_path: Path):
    url = redirecting("http://127.0.0.1:{port}/there")
    assert downloads._stream(SlackSettings(), url, tmp_path / "x", 100, claimed_type="text/html") == 5


def test_slacks_own_host_is_asked():
    url = "https://files.slack.com/files-pri/T1-F1/download/x.jsonl"
    assert downloads.checked_url(SlackSettings(), {"mode": "hosted", "url_private_download": url}) == url
