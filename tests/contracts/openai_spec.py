"""OpenAI's published API description as a judge of single bodies, with its two known defects mended."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SPEC = Path(__file__).with_name("openai-ft.json")
"""The official description, cut down to what fine-tuning needs."""


def problems(kind: str, value: object) -> list[str]:
    """What the schema of this name has against a value; empty for nothing."""
    return [f"{one.json_path}: {one.message}" for one in _judge(kind).iter_errors(value)]


@cache
def _judge(kind: str) -> Draft202012Validator:
    return Draft202012Validator({**_mended(json.loads(SPEC.read_text())), "$ref": f"#/components/schemas/{kind}"})


def _mended(schema: Any) -> Any:
    """`exclusiveMinimum: true` and `nullable` are words of an older version of the description's language."""
    if isinstance(schema, list):
        return [_mended(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _mended(one) for name, one in schema.items()}
    if found.get("exclusiveMinimum") is True:
        found["exclusiveMinimum"] = found.pop("minimum")
    if found.pop("nullable", False) is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
        found |= {"enum": [*found["enum"], None]} if "enum" in found else {}
    return found
