"""A grader is proposed from the dataset's fields, and what is wrong with a typed one is said; the schema agrees."""

import json
from pathlib import Path

import jsonschema
import pytest

from workers.plans import grading

SPEC = json.loads((Path(__file__).parents[2] / "contracts" / "openai-ft.json").read_text())


def schema_problems(grader):
    schema = {"$ref": "#/components/schemas/ValidateGraderRequest", "components": SPEC["components"]}
    return [one.message for one in jsonschema.Draft202012Validator(schema).iter_errors({"grader": grader})]


@pytest.mark.parametrize(
    ("references", "kind", "field"),
    [
        ([{"answer": "42", "n": 1}, {"answer": "43"}], "string_check", "answer"),
        ([{"target": 5}], "string_check", "target"),
        ([{"text": "a" * 41}], "text_similarity", "text"),
        ([{"many": [1, 2]}], "text_similarity", "many"),
        ([{"bad name": 1, "good": "x"}], "string_check", "good"),
    ],
)
def test_a_proposed_grader_is_one_that_openai_takes(references, kind, field):
    grader = grading.proposed(references)
    assert (grader["type"], grader["reference"]) == (kind, f"{{{{item.{field}}}}}")
    assert schema_problems(grader) == []
    assert grading.problems(grader) == {}


@pytest.mark.parametrize("references", [[], [{}], [{"no good": 1}]])
def test_without_fields_there_is_none(references):
    assert grading.proposed(references) == {}
    assert "needs a grader" in grading.problems({})["grader"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "line 1"), ("[]", "JSON object"), ("3", "JSON object"), ("[" * 100_000, "nested too deep"), ("", "line 1")],
)
def test_what_is_no_json_object(text, words):
    with pytest.raises(ValueError, match=words):
        grading.read(text)


@pytest.mark.parametrize("kind", sorted(grading.REQUIRED))
def test_what_is_missing_is_what_the_schema_misses_too(kind):
    grader = {"type": kind}
    assert schema_problems(grader)
    words = grading.problems(grader)["grader"]
    assert all(name in words for name in grading.REQUIRED[kind])
    assert "must be one of" in grading.problems({"type": ["x"]})["grader"]
