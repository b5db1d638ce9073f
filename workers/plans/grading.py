"""What judges a model's answers in reinforcement fine-tuning: a grader, proposed from the dataset's own fields."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

REQUIRED: dict[str, tuple[str, ...]] = {
    "string_check": ("name", "input", "reference", "operation"),
    "text_similarity": ("name", "input", "reference", "evaluation_metric"),
    "python": ("name", "source"),
    "score_model": ("name", "model", "input"),
    "multi": ("name", "graders", "calculate_output"),
}
"""OpenAI's graders that train, and what each must have."""
MOST_CHARACTERS = 3000
LONGEST_EXACT = 40
"""A longer reference text is compared by likeness, as no model hits it letter by letter."""
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def proposed(references: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A grader that compares what the model says with the first of these examples' reference fields; else empty.

    A short text, number or truth value must be said exactly; a longer text is compared by likeness.
    """
    first = next(iter(references), {})
    field = next((name for name in first if _FIELD.fullmatch(name)), "")
    if not field:
        return {}
    values = [one.get(field) for one in references]
    compared = {"name": field[:60], "input": "{{sample.output_text}}", "reference": f"{{{{item.{field}}}}}"}
    if all(not isinstance(one, list | dict) and len(str(one)) <= LONGEST_EXACT for one in values):
        return {"type": "string_check", **compared, "operation": "eq"}
    return {"type": "text_similarity", **compared, "evaluation_metric": "fuzzy_match"}


def read(text: str) -> dict[str, Any]:
    """A grader as it was typed. Raises ValueError, with words for people."""
    try:
        grader = json.loads(text)
    except RecursionError as error:
        raise ValueError("This is nested too deep.") from error
    except ValueError as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"This is no valid JSON{where}.") from error
    if isinstance(grader, dict):
        return grader
    raise ValueError("A grader is a JSON object: { … }.")


def problems(grader: object) -> dict[str, str]:
    """What can be known to be wrong with a grader, without asking the vendor."""
    if not isinstance(grader, dict) or not grader:
        return {"grader": "This method needs a grader, which says how good an answer is."}
    kind = str(grader.get("type"))
    if kind not in REQUIRED:
        return {"grader": f"“type” must be one of: {', '.join(REQUIRED)}."}
    missing = [name for name in REQUIRED[kind] if not grader.get(name)]
    return {"grader": f"A {kind} grader also needs: {', '.join(missing)}."} if missing else {}
