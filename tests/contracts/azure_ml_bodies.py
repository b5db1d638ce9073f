"""Bodies held against azure-ai-ml's own models of the REST API: no field unknown, none missing that must be there."""

import warnings
from functools import lru_cache
from types import ModuleType
from typing import Any, get_args

from tests.contracts.azure_openai_http import Answer


class Refused(Exception):
    """The answer is an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"error": {"code": code, "message": message}})


def checked(kind: str, body: Any, optional: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    """The body, if azure-ai-ml's model of it knows every field and misses none. Raises Refused."""
    try:
        _check(getattr(_rest(), kind)._deserialize(body, []), "", optional)
    except (TypeError, ValueError, AttributeError) as error:
        raise Refused(400, "UserError", f"{kind}: {error}") from error
    return body


def _check(model: Any, where: str, optional: frozenset[str] | set[str]) -> None:
    fields = {one._rest_name: (name, one) for name, one in model._attr_to_rest_field.items()}
    for name in model:
        if name not in fields:
            raise ValueError(f"{where}{name} is unknown to {type(model).__name__}")
        value = getattr(model, fields[name][0])
        for one in value.values() if type(value) is dict else value if isinstance(value, list) else [value]:
            if hasattr(one, "_attr_to_rest_field"):
                _check(one, f"{where}{name}.", optional)
    kinds = {
        name: kind
        for one in reversed(type(model).__mro__)
        for name, kind in vars(one).get("__annotations__", {}).items()
    }
    for name, (attribute, one) in fields.items():
        needed = type(None) not in get_args(kinds[attribute]) and one._visibility != ["read"]
        if needed and name not in model and name not in optional:
            raise ValueError(f"{where}{name} is missing")


@lru_cache(maxsize=1)
def _rest() -> ModuleType:
    with warnings.catch_warnings(action="ignore"):  # of what it is built on
        from azure.ai.ml._restclient.arm_ml_service import models
    return models
