"""Which methods a dataset can be learnt by: its examples' kind decides, and who trains on it."""

from collections.abc import Mapping

from providers.base import Method
from providers.capabilities import CAPABILITIES
from workers.tables import Dataset

BY_KIND: Mapping[Method, tuple[Method, ...]] = {
    Method.SFT: (Method.SFT, Method.GRPO),
    Method.DPO: (Method.DPO, Method.ORPO, Method.KTO),
    Method.KTO: (Method.KTO,),
    Method.RFT: (Method.RFT, Method.GRPO),
}
"""By what a dataset's own format says; the usual one first. An example's answer is a reference for GRPO, and a pair of
answers is two labelled ones for KTO."""
PLAIN_TEXT = "text"
"""The format of examples without a prompt: there is nothing to answer."""


def of_kind(kind: str, text_format: str = "") -> tuple[Method, ...]:
    """The methods that examples of this kind can be learnt by, the usual one first."""
    found = BY_KIND.get(Method(kind), (Method(kind),))
    return found[:1] if text_format == PLAIN_TEXT else found


def of_dataset(dataset: Dataset | None) -> tuple[Method, ...]:
    """The methods that the dataset can be learnt by, the usual one first."""
    return of_kind(dataset.method, dataset.format) if dataset is not None else (Method.SFT,)


def at(provider: str, dataset: Dataset | None) -> tuple[Method, ...]:
    """Those of them by which this provider trains; empty for none."""
    known = CAPABILITIES[provider].methods if provider in CAPABILITIES else frozenset()
    return tuple(one for one in of_dataset(dataset) if one in known)


def first(provider: str, dataset: Dataset | None) -> Method:
    """The usual method there; where the provider has none, the dataset's own."""
    return next(iter(at(provider, dataset)), of_dataset(dataset)[0])


def learnt(dataset: Dataset, method: Method, examples: int) -> int:
    """As how many examples so many of the dataset's are learnt: a pair of answers is two labelled ones."""
    return 2 * examples if method is Method.KTO and dataset.method == Method.DPO else examples
