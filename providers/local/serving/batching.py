"""Several answers of one base model and its adapters, decoded together: each step writes one token of every row.

Rows are aligned at their right ends; what a shorter row lacks on the left is masked. The rows of an adapter stand
together (see `mixing`). New rows join between two steps, and a row that is done leaves at once, so that it costs
nothing any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from providers.local.serving.adapters import Adapter
from providers.local.serving.detokenise import TextStream
from providers.local.serving.generation import Generation, Piece
from providers.local.serving.growing_cache import GrowingCache
from providers.local.serving.mixing import Stretches
from providers.local.serving.prefixes import Prefix, Prefixes


@dataclass
class Row:
    """One answer in the making."""

    generation: Generation
    prompt: list[int]
    adapter: Adapter | None
    ends: frozenset[int]
    text: TextStream
    limit: int
    random: torch.Generator | None = None
    written: list[int] = field(default_factory=list)

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.generation.question.temperature <= 0

    def accept(self, token: int) -> bool:
        """Take the next token and deliver what it says. True: the answer is complete."""
        self.written.append(token)
        ended = token in self.ends
        piece = "" if ended else self.text.add(token)
        reason = "stop" if ended or self.text.stopped else None
        if reason is None and len(self.written) >= self.limit:
            reason = "length"
        if reason is not None:
            piece += self.text.finish()
            self.generation.deliver(Piece(piece, reason, len(self.prompt), len(self.written)))
        elif piece:
            self.generation.deliver(Piece(piece))
        return reason is not None


class Batch:
    """The running answers of one base model and its adapters."""

    def __init__(
        self, model: Any, device: torch.device, stretches: Stretches, prefixes: Prefixes | None = None
    ) -> None:
        self._prefixes = prefixes
        self._model = model
        self._device = device
        self._stretches = stretches
        self._cache: GrowingCache | None = None
        self._mask = torch.ones((0, 0), dtype=torch.long, device=device)
        self._last: list[int] = []
        self.rows: list[Row] = []

    @torch.inference_mode()
    def join(self, rows: Sequence[Row]) -> None:
        """Read the prompts of new rows, write the first token of each, and let them decode with the others."""
        rows = sorted(rows, key=lambda row: id(row.adapter))
        cache = GrowingCache(self._model.config.get_text_config().num_hidden_layers)
        known = self._known(rows)
        begin = len(known.tokens) if known else 0
        longest = max(len(row.prompt) for row in rows) - begin
        tokens = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.ones((len(rows), begin + longest), dtype=torch.long)
        for place, row in enumerate(rows):
            rest = row.prompt[begin:]
            tokens[place, longest - len(rest) :] = torch.tensor(rest)
            mask[place, begin : begin + longest - len(rest)] = 0
        mask = mask.to(self._device)
        if known:
            cache.begin(known.keys, known.values, len(rows))
        logits = self._forward(rows, tokens.to(self._device), mask, cache)
        first = self._chosen(logits, rows)
        stay = [place for place, row in enumerate(rows) if not row.accept(first[place])]
        if not stay:
            return
        if len(stay) < len(rows):
            cache.keep(stay, 0)
            mask = mask[torch.tensor(stay, device=self._device)]
        self._merge(cache, mask, [rows[place] for place in stay], [first[place] for place in stay])

    @torch.inference_mode()
    def step(self) -> None:
        """Write one more token of every row."""
        assert self._cache is not None
        self._leave([row.generation.cancelled.is_set() for row in self.rows])
        if not self.rows:
            return
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        tokens = torch.tensor(self._last, device=self._device)[:, None]
        self._last = self._chosen(self._forward(self.rows, tokens, self._mask, self._cache), self.rows)
        self._leave([row.accept(token) for row, token in zip(self.rows, self._last, strict=True)])

    def _forward(
        self, rows: Sequence[Row], tokens: torch.Tensor, mask: torch.Tensor, cache: GrowingCache
    ) -> torch.Tensor:
        self._stretches.set([row.adapter for row in rows])
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        out = self._model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache.for_model,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = out.logits[:, -1]
        return logits

    def _chosen(self, logits: torch.Tensor, rows: Sequence[Row]) -> list[int]:
        """The next token of each row."""
        likeliest = logits.argmax(-1).tolist()
        return [likeliest[at] if row.is_greedy else _draw(logits[at], row) for at, row in enumerate(rows)]

    def _merge(self, cache: GrowingCache, mask: torch.Tensor, rows: Sequence[Row], last: Sequence[int]) -> None:
        """Put new rows among the running ones, each to those of its adapter, all aligned at the right."""
        everyone, written = [*self.rows, *rows], [*self._last, *last]
        if self._cache is None or not self.rows:
            self._cache, self._mask, self.rows, self._last = cache, mask, everyone, written
            return
        order = sorted(range(len(everyone)), key=lambda place: id(everyone[place].adapter))
        length = max(self._mask.shape[1], mask.shape[1])
        self._cache.append(cache, length, order)
        pads = [torch.nn.functional.pad(one, (length - one.shape[1], 0)) for one in (self._mask, mask)]
        self._mask = torch.cat(pads)[torch.tensor(order, device=self._device)]
        self.rows = [everyone[place] for place in order]
        self._last = [written[place] for place in order]

    def _known(self, rows: Sequence[Row]) -> Prefix | None:
        """What these rows begin with and was read before."""
        if self._prefixes is None or any(row.adapter is not rows[0].adapter for row in rows):
            return None
        return self._prefixes.longest(rows[0].adapter, [row.prompt for row in rows])

    def _keep(self, place: int) -> None:
        """Keep what a row that leaves has read and written, for the next question of its conversation."""
        if self._prefixes is None or self._cache is None:
            return
        row = self.rows[place]
        there = self._mask[place].nonzero()[:, 0]
        keys, values = self._cache.row(place, there)
        self._prefixes.keep(row.adapter, Prefix([*row.prompt, *row.written][: len(there)], keys, values))

    def _leave(self, done: Sequence[bool]) -> None:
        """Take rows out, and with them the padding that only they needed."""
        if not any(done):
            return
        for place, one in enumerate(done):
            if one:
                self._keep(place)
        keep = [place for place, one in enumerate(done) if not one]
        self.rows = [self.rows[place] for place in keep]
        self._last = [self._last[place] for place in keep]
        if not keep:
            self._cache, self._mask = None, self._mask[:0, :0]
            return
        assert self._cache is not None
        mask = self._mask[torch.tensor(keep, device=self._device)]
        unused = int((mask.sum(0) == 0).long().cumprod(0).sum())
        self._mask = mask[:, unused:]
        self._cache.keep(keep, unused)


def _draw(logits: torch.Tensor, row: Row) -> int:
    """A token by chance, as the question's temperature and top_p want it."""
    question = row.generation.question
    shares, order = torch.softmax(logits.float() / question.temperature, -1).sort(descending=True)
    shares = shares.masked_fill(shares.cumsum(-1) - shares > question.top_p, 0.0).cpu()
    return int(order[torch.multinomial(shares, 1, generator=row.random)])
