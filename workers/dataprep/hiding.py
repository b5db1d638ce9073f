"""Texts as they are shown to people: keys, passwords and personal data are named in brackets, not shown.

What a fix has taken out of the data reads `[removed: …]`; what is in the data, and only not shown, `[hidden: …]`.
"""

from workers.dataprep.checks import personal, secrets
from workers.dataprep.checks.spans import MOST_PASSES, replaced

REACH = 24_000
"""So much more than is shown is looked at: a private key is that long."""
_HALF = 1000
"""Where a text was cut, half a key may stand, which nothing finds: so much of the end is left out."""


def hidden(text: str, most: int) -> str:
    """The text with what must not be shown named; of a long one its beginning, `most` characters and some more."""
    looked_at = text[: most + REACH]
    whole = len(looked_at) == len(text)
    for find in (secrets.find, personal.find):
        for _ in range(MOST_PASSES):
            spans = list(find(looked_at))
            if not spans:
                break
            looked_at = replaced(looked_at, spans, lambda span: f"[hidden: {span.kind}]")
    return looked_at if whole else looked_at[:-_HALF]
