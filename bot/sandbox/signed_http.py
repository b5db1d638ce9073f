"""Signed HTTP: every request to the bot is a POST to its request URL, with a signature over time and body."""

import asyncio
import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from bot.sandbox.delivery import Answer, Failure, Retry, What
from bot.sandbox.ids import secret

Json = dict[str, Any]
VERIFY_SECONDS = 0.5
TIMEOUT_SECONDS = 3.0


class HttpCarrier:
    """Posts to whatever address `request_url` gives at the time."""

    def __init__(
        self, request_url: Callable[[], str], signing_secret: str, ack_seconds: float, changed: Callable[[], None]
    ) -> None:
        self._request_url = request_url
        self._secret = signing_secret
        self._ack_seconds = ack_seconds
        self._changed = changed
        self._verified = ""

    @property
    def connected(self) -> bool:
        """Whether the address has proved to be the bot's."""
        return bool(self._verified) and self._verified == self._request_url()

    async def until_connected(self) -> None:
        """Ask the address again and again until it proves to be the bot's."""
        while not self.connected:
            await self._verify()
            await asyncio.sleep(0 if self.connected else VERIFY_SECONDS)

    async def carry(self, what: What, payload: Json, retry: Retry | None) -> Answer:
        """Post once; any status but 200 is no acknowledgement."""
        if not self._request_url():
            return Answer(failure=Failure.AWAY)
        if what is What.EVENT:
            body, kind = json.dumps(payload), "application/json"
        else:
            fields = payload if what is What.COMMAND else {"payload": json.dumps(payload)}
            body, kind = urlencode(fields), "application/x-www-form-urlencoded"
        headers = {"Content-Type": kind, "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)"}
        if retry:
            headers |= {"X-Slack-Retry-Num": str(retry.number), "X-Slack-Retry-Reason": retry.reason}
        began = time.monotonic()
        try:
            status, answer = await asyncio.wait_for(self._post(body, headers), self._ack_seconds)
        except TimeoutError:
            return Answer(failure=Failure.LATE, seconds=self._ack_seconds)
        except (OSError, http.client.HTTPException):
            self._lost()
            return Answer(failure=Failure.AWAY, seconds=time.monotonic() - began)
        seconds = time.monotonic() - began
        if status != http.HTTPStatus.OK:
            return Answer(failure=Failure.REFUSED, seconds=seconds)
        return Answer(_acknowledged(answer), seconds=seconds)

    async def _verify(self) -> None:
        """Slack's handshake: the address must answer with the challenge."""
        url, challenge = self._request_url(), secret(40)
        if not url:
            return
        body = json.dumps({"token": "", "challenge": challenge, "type": "url_verification"})
        try:
            status, answer = await self._post(body, {"Content-Type": "application/json"})
        except (OSError, http.client.HTTPException):
            return  # not there yet
        if status == http.HTTPStatus.OK and challenge in answer:
            self._verified = url
            self._changed()

    def _lost(self) -> None:
        self._verified = ""
        self._changed()

    async def _post(self, body: str, headers: dict[str, str]) -> tuple[int, str]:
        stamp = str(int(time.time()))
        signature = hmac.new(self._secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {**headers, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signature}"}
        return await asyncio.to_thread(_exchange, self._request_url(), body.encode(), headers)


def _exchange(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def _acknowledged(answer: str) -> Json:
    """The acknowledgement's payload: JSON, or plain text for a command."""
    try:
        payload = json.loads(answer) if answer.strip() else {}
    except ValueError:
        return {"text": answer}
    return payload if isinstance(payload, dict) else {"text": str(payload)}
