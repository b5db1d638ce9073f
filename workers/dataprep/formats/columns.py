"""Which column of a table is the prompt and which the answer: from their names first, then from what is in them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.dataprep.formats.base import as_text
from workers.dataprep.formats.table import ColumnMapping

PROMPTS = (
    "prompt", "question", "instruction", "query", "user", "user_message", "human", "request", "utterance", "text",
    "input", "sentence", "review", "document", "article", "email", "message", "body", "content", "source", "problem",
    "frage", "eingabe", "pregunta", "demande", "domanda", "pergunta", "вопрос", "质问", "问题", "質問",
)  # fmt: skip
"""Names of prompts, the surest first."""
ANSWERS = (
    "completion", "answer", "response", "output", "reply", "assistant", "assistant_message", "gpt", "ground_truth",
    "target", "label", "label_text", "label_name", "category", "class", "intent", "sentiment", "topic", "summary",
    "translation", "solution", "result", "expected", "expected_output", "gold", "tag",
    "antwort", "ausgabe", "respuesta", "réponse", "reponse", "risposta", "resposta", "ответ", "回答", "答案",
)  # fmt: skip
"""Names of answers, the surest first."""
SYSTEMS = ("system", "system_prompt", "system_message", "sys")
SURE = frozenset({
    ("prompt", "answer"), ("prompt", "response"), ("prompt", "output"), ("prompt", "reply"),
    ("question", "answer"), ("question", "response"), ("question", "output"), ("query", "answer"),
    ("query", "response"),
    ("problem", "solution"), ("problem", "answer"), ("input", "output"), ("input", "answer"), ("input", "response"),
    ("input", "target"), ("user", "assistant"), ("human", "assistant"), ("text", "label"), ("text", "ground_truth"),
    ("text", "category"), ("text", "intent"), ("text", "sentiment"), ("text", "summary"), ("text", "answer"),
    ("sentence", "label"), ("review", "sentiment"), ("review", "label"), ("document", "summary"),
    ("article", "summary"), ("source", "target"), ("utterance", "intent"), ("frage", "antwort"),
    ("pregunta", "respuesta"), ("question", "réponse"), ("question", "reponse"), ("domanda", "risposta"),
    ("вопрос", "ответ"), ("问题", "回答"), ("问题", "答案"),
})  # fmt: skip
"""Pairs of names that leave no doubt, where no other column could be meant."""
ASIDE = frozenset({
    "id", "idx", "index", "no", "nr", "number", "meta", "metadata", "source", "url", "link", "date", "time",
    "timestamp", "created", "created_at", "updated_at", "lang", "language", "split", "subset", "author", "version",
    "license", "domain", "dataset", "file", "filename", "path", "token_count", "tokens", "length", "score", "hash",
    "uuid", "__index_level_0__", "unnamed_0", "",
})  # fmt: skip
"""Names of what is said about an example, not trained."""
MOST_LABELS = 50


def plain(name: str) -> str:
    """A column's name without case, spaces and signs: `User Message` is user_message."""
    return re.sub(r"\W+", "_", name.strip().casefold()).strip("_")


@dataclass(frozen=True)
class Column:
    """What is in a column, as far as some records tell."""

    name: str
    filled: int
    distinct: int
    mean_length: float
    questions: float
    numbers: float

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> "Column":
        """Of these cells."""
        texts = [text for value in values if (text := as_text(value).strip())]
        count = len(texts)
        if not count:
            return cls(name, 0, 0, 0.0, 0.0, 0.0)
        return cls(
            name,
            count,
            len(set(texts)),
            sum(map(len, texts)) / count,
            sum(text.endswith(("?", "？")) for text in texts) / count,
            sum(_is_number(text) for text in texts) / count,
        )

    @property
    def aside(self) -> bool:
        """Whether it only names or dates an example: numbers that are all different, or short marks without words."""
        return not self.filled or plain(self.name) in ASIDE

    @property
    def labels(self) -> bool:
        """Whether few short values come again and again."""
        few = self.distinct <= MOST_LABELS and self.distinct * 2 <= self.filled
        return few and self.filled >= 4 and self.mean_length <= 60


def _is_number(text: str) -> bool:
    return len(text) <= 30 and re.fullmatch(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?%?", text) is not None


def names_of(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of a table, in the order in which they come."""
    return list(dict.fromkeys(key for record in records for key in record))


def is_flat(record: Mapping[str, Any]) -> bool:
    """Whether it has cells and no lists of messages."""
    return any(isinstance(value, (str, int, float)) for value in record.values())


def guess(records: Sequence[Mapping[str, Any]]) -> tuple[ColumnMapping, bool] | None:
    """The mapping of a table, and whether a person should confirm it; None for no two columns to map."""
    columns = [Column.of(name, [record.get(name) for record in records]) for name in names_of(records)]
    by_name = {plain(one.name): one for one in sorted(columns, key=lambda one: one.filled > 0)}
    system = next((by_name[name].name for name in SYSTEMS if name in by_name), "")
    rest = [one for one in columns if one.name != system]
    prompt = _named(by_name, PROMPTS, system)
    answer = _named(by_name, ANSWERS, system)
    candidates = [one for one in rest if not one.aside]
    known = [one for one in candidates if plain(one.name) in PROMPTS or plain(one.name) in ANSWERS]
    if prompt and answer and (plain(prompt.name), plain(answer.name)) in SURE:
        return ColumnMapping(prompt.name, answer.name, system), len(known) > 2
    if answer is None or (answer.numbers > 0.9 and not prompt):
        answer = _answer_like(candidates or rest, prompt)
    if prompt is None or prompt is answer:
        prompt = _prompt_like([one for one in candidates or rest if one is not answer])
    if prompt is None or answer is None:
        return None
    return ColumnMapping(prompt.name, answer.name, system), True


def _named(by_name: Mapping[str, Column], names: Sequence[str], taken: str) -> Column | None:
    there = [by_name[name] for name in names if name in by_name and by_name[name].name != taken]
    return next((one for one in there if one.filled), there[0] if there else None)


def _answer_like(columns: Sequence[Column], prompt: Column | None) -> Column | None:
    """A column of labels in words, else the last that is text and no question."""
    others = [one for one in columns if one is not prompt]
    labels = [one for one in others if one.labels and one.numbers < 0.5]
    if labels:
        return min(labels, key=lambda one: (one.distinct <= 1, one.distinct))
    texts = [one for one in others if one.numbers < 0.5] or others
    if prompt is None and len(texts) > 1:
        asked = max(texts, key=lambda one: one.questions)
        if asked.questions > 0:
            texts = [one for one in texts if one is not asked]
        else:
            texts = sorted(texts, key=lambda one: -min(one.mean_length, 200))[:2]
            texts = [max(texts, key=columns.index)]
    return max(texts, key=lambda one: one.mean_length) if texts else None


def _prompt_like(columns: Sequence[Column]) -> Column | None:
    """The column that asks most, else the longest text."""
    texts = [one for one in columns if one.numbers < 0.9] or list(columns)
    return max(texts, key=lambda one: (round(one.questions, 1), one.mean_length)) if texts else None


def only_text(records: Sequence[Mapping[str, Any]]) -> str:
    """The one column of text, where the others only speak about it; empty where it is otherwise."""
    names = names_of(records)
    if len(names) == 1:
        return names[0] if isinstance(records[0][names[0]], str) else ""
    if "text" not in names:
        return ""
    for name in names:
        if name == "text" or plain(name) in ASIDE:
            continue
        values = [record.get(name) for record in records]
        if any(isinstance(value, (str, int, float, bool)) for value in values):
            return ""
    return "text"
