"""The arguments of a call: from the query, a form (nested fields as JSON text) or a JSON body."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from bot.sandbox.errors import SlackProblem, missing

Json = dict[str, Any]
NO = {"", "0", "false", "no", "none"}


class Arguments:
    """Arguments by name, each read as what the method takes it for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str, default: str = "") -> str:
        """A string; empty if there is none."""
        value = self.values.get(name, default)
        return value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict | list) else str(value)

    def needed(self, name: str) -> str:
        """A string that must be there. Raises SlackProblem."""
        value = self.text(name)
        if not value:
            raise missing(name)
        return value

    def flag(self, name: str) -> bool:
        """True, "true", 1 and "1" are true."""
        return self.text(name).lower() not in NO

    def number(self, name: str, default: int, most: int) -> int:
        """A positive whole number, cut to the most there may be."""
        try:
            value = int(self.text(name) or default)
        except ValueError as error:
            raise SlackProblem("invalid_arguments", [f"[ERROR] {name} must be a whole number"]) from error
        if value < 1:
            raise SlackProblem("invalid_limit" if name == "limit" else "invalid_arguments")
        return min(value, most)

    def nested(self, name: str, problem: str = "invalid_arguments") -> Any:
        """An object or a list, given as such or as JSON text; None if there is none. Raises SlackProblem."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return json.loads(value)
        except ValueError as error:
            raise SlackProblem(problem, [f"[ERROR] {name} is not JSON"]) from error

    def only(self, *names: str) -> "Arguments":
        """These arguments without the others."""
        return Arguments({name: value for name, value in self.values.items() if name in names})

    def readable(self) -> Json:
        """The arguments for the journal, without the token."""
        shown: Json = {}
        for name, value in self.values.items():
            if name == "token":
                continue
            shown[name] = value
            if isinstance(value, str) and value[:1] in {"{", "["}:
                try:
                    shown[name] = json.loads(value)
                except ValueError:
                    continue
        return shown


async def read(request: Request) -> Arguments:
    """The arguments of a request. Raises SlackProblem for a body that is not what it says it is."""
    values: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        body = await request.body()
        try:
            given = json.loads(body) if body.strip() else {}
        except ValueError as error:
            raise SlackProblem("invalid_json") from error
        if not isinstance(given, dict):
            raise SlackProblem("json_not_object")
        values |= given
    elif kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        async with request.form(max_part_size=16 << 20) as form:
            values |= {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    return Arguments(values)
