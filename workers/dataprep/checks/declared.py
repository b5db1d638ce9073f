"""Checks of what a raw record declares and calls: its tools, functions and tool calls must have the vendors' shape."""

from collections.abc import Iterator, Mapping
from typing import Any

from workers.dataprep.checks.found import Found

MOST_FUNCTIONS = 128


def declared_tools(record: Mapping[str, Any]) -> Iterator[Found]:
    """Tools that are declared in a shape that no provider reads."""
    problem = _tools_problem(record.get("tools")) or _functions_problem(record.get("functions"))
    if problem:
        yield Found("bad_tool", f"{problem} Mend it, or drop the line.", fix="drop")
    parallel = record.get("parallel_tool_calls")
    if parallel is not None and not isinstance(parallel, bool):
        yield Found("bad_tool", "`parallel_tool_calls` must be true or false. Mend it.", fix="drop")


def called_tools(record: Mapping[str, Any]) -> Iterator[Found]:
    """Calls without id, type, name or arguments."""
    messages = record.get("messages")
    for place, message in enumerate(messages if isinstance(messages, list) else (), 1):
        if not isinstance(message, dict):
            continue
        problem = _calls_problem(message.get("tool_calls"))
        old = message.get("function_call")
        if not problem and old is not None and not _has_texts(old, "name", "arguments"):
            problem = "`function_call` needs a `name` and `arguments`, both text."
        if problem:
            yield Found("bad_tool_call", f"{problem} Mend it, or drop the line.", place, "drop")


def _tools_problem(tools: Any) -> str:
    if tools is None:
        return ""
    if not isinstance(tools, list):
        return "`tools` is not a list."
    for number, tool in enumerate(tools, 1):
        if not isinstance(tool, dict) or tool.get("type") != "function":
            return f"Tool {number} is not of type function."
        problem = _function_problem(tool.get("function"))
        if problem:
            return f"Tool {number} {problem}"
    return ""


def _functions_problem(functions: Any) -> str:
    if functions is None:
        return ""
    if not isinstance(functions, list) or not 1 <= len(functions) <= MOST_FUNCTIONS:
        return f"`functions` is not a list of 1 to {MOST_FUNCTIONS} functions."
    for number, function in enumerate(functions, 1):
        problem = _function_problem(function)
        if problem:
            return f"Function {number} {problem}"
    return ""


def _function_problem(function: Any) -> str:
    if not _has_texts(function, "name"):
        return "has no `name`."
    if function.get("description") is not None and not isinstance(function["description"], str):
        return "has a `description` that is no text."
    if function.get("parameters") is not None and not isinstance(function["parameters"], dict):
        return "has `parameters` that are no JSON schema."
    if function.get("strict") is not None and not isinstance(function["strict"], bool):
        return "has a `strict` that is neither true nor false."
    return ""


def _calls_problem(calls: Any) -> str:
    if calls is None:
        return ""
    if not isinstance(calls, list):
        return "`tool_calls` is not a list."
    for number, call in enumerate(calls, 1):
        if not isinstance(call, dict) or call.get("type") != "function" or not isinstance(call.get("id"), str):
            return f"Call {number} needs a text `id` and the `type` function."
        if not _has_texts(call.get("function"), "name", "arguments"):
            return f"Call {number} needs a `function` with `name` and `arguments`, both text."
    return ""


def _has_texts(value: Any, *keys: str) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in keys)
