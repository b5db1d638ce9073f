"""Where files' bytes go to and come from. Without a right token Slack answers 200 with a page to log in."""

import mimetypes
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from bot.sandbox.arguments import Arguments
from bot.sandbox.cast import BOT, TEAM_ID
from bot.sandbox.errors import SlackProblem
from bot.sandbox.hub import Hub
from bot.sandbox.methods_files import MOST_BYTES
from bot.sandbox.web_api import token_of

LOGIN = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in to the workspace</h1></body></html>"
SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


async def receive(hub: Hub, request: Request) -> Response:
    """The second step of an upload: the bytes, bare or as a form."""
    try:
        file = hub.workspace.file(request.path_params["file_id"])
    except SlackProblem:
        return PlainTextResponse("no such upload", status_code=404)
    if file.complete:
        return PlainTextResponse("this upload is complete", status_code=400)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form() as form:
            parts = [part for part in form.values() if isinstance(part, UploadFile)]
            data = await parts[0].read() if parts else b""
    else:
        data = await request.body()
    if not data or len(data) > MOST_BYTES:
        return PlainTextResponse("nothing came, or too much", status_code=400)
    file.data, file.length = data, len(data)
    return PlainTextResponse(f"OK - {len(data)}")


async def hand_out(hub: Hub, request: Request) -> Response:
    """A file's bytes, to the bot's token or to a person of the page (`?user=`)."""
    team, _, file_id = request.path_params["file"].partition("-")
    token = token_of(request, Arguments({}))
    reader = BOT.id if token == hub.plan.bot_token else request.query_params.get("user", "")
    file = hub.workspace.files.get(file_id)
    if team != TEAM_ID or file is None or file.data is None or not hub.workspace.may_read(reader, file):
        return HTMLResponse(LOGIN)
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    inline = kind in SHOWN and "/download/" not in request.url.path
    disposition = f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{quote(file.name)}"
    headers = {
        "Content-Disposition": disposition,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(file.data, media_type=kind, headers=headers)
