"""Which language a text is in: by its script, and where that is Latin by its most common words.

Sure or silent: short texts, code, lists of names and mixtures are in no language.
"""

import re

SAMPLE = 600
"""So many characters of a text are looked at."""
SAMPLE_OF_WORDS = 300
LEAST_LETTERS = 12
LEAST_WORDS = 8

_SCRIPTS = (
    ("Japanese", "\u3040-\u30ff"),
    ("Korean", "\uac00-\ud7af\u1100-\u11ff"),
    ("Chinese", "\u4e00-\u9fff\u3400-\u4dbf"),
    ("a language in Cyrillic letters", "\u0400-\u04ff"),
    ("Greek", "\u0370-\u03ff\u1f00-\u1fff"),
    ("a language in Arabic letters", "\u0600-\u06ff\u0750-\u077f"),
    ("Hebrew", "\u0590-\u05ff"),
    ("a language in Devanagari letters", "\u0900-\u097f"),
    ("Bengali", "\u0980-\u09ff"),
    ("Gujarati", "\u0a80-\u0aff"),
    ("Punjabi", "\u0a00-\u0a7f"),
    ("Tamil", "\u0b80-\u0bff"),
    ("Telugu", "\u0c00-\u0c7f"),
    ("Kannada", "\u0c80-\u0cff"),
    ("Malayalam", "\u0d00-\u0d7f"),
    ("Thai", "\u0e00-\u0e7f"),
    ("Georgian", "\u10a0-\u10ff"),
    ("Armenian", "\u0530-\u058f"),
)
_LETTERS = tuple((name, re.compile(f"[{characters}]")) for name, characters in _SCRIPTS)
_LATIN = re.compile(r"[A-Za-zÀ-ɏḀ-ỿ]")
_WORD = re.compile(r"[a-zà-ɏḁ-ỿ]+")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|<[^<>]{1,80}>", re.DOTALL)

_COMMON = {
    "English": (
        "the and of to is that it for you with this are be as on have or can not your will by from they which what "
        "was were has their would there been if more about these its when an how but"
    ),
    "German": (
        "der die das und ist nicht ein eine zu den mit sich von auf für dem im auch es an werden aus er hat dass "
        "sie nach wird bei einer um am sind noch wie einem über so zum haben nur oder aber vor zur bis mehr durch "
        "sein wenn ich kann wir"
    ),
    "French": (
        "le la les des et est un une du en que qui dans pour pas sur au ce il sont avec plus par ne se nous vous "
        "cette mais ou être aux ses leur fait comme tout elle sa même ces je peut votre été ont"
    ),
    "Spanish": (
        "el la los las de y que en un una es por con para se no del al lo como más su sus este esta pero son está "
        "muy también puede ser hay cuando entre sobre sin desde ya todo porque usted tiene"
    ),
    "Portuguese": (
        "o os as de e que em um uma é por com para se não do da dos das ao no na mais como seu sua você são está "
        "mas também pode ser pelo pela isso quando entre sobre sem já muito foi ou nos"
    ),
    "Italian": (
        "il lo gli di e che in un una è per con non si del della dei delle alla al nel nella più come suo sua sono "
        "questo questa ma anche può essere da dal dalla loro tutti molto quando ha perché le ogni"
    ),
    "Dutch": (
        "de het een en van is dat in te op voor met zijn niet aan er om ook als bij door wordt maar nog naar dan "
        "heeft kan uit deze dit over wat hun worden meer je ze was hebben of"
    ),
    "Swedish": (
        "och att det som en på är av för med den till inte har de ett om vi kan från så men var sig man ska eller "
        "när vid nu också du hur mycket detta alla"
    ),
    "Danish or Norwegian": (
        "og at det som en på er af av for med den til ikke har de et om vi kan fra så men var sig seg man skal "
        "eller når ved nu nå også du hvordan meget dette alle"
    ),
    "Polish": (
        "i w nie na się z że do jest to o jak ale po co tak za od czy przez są był być może który które która dla "
        "lub oraz tylko już jego ich także ma przy"
    ),
    "Czech": (
        "a se na je v že to s z do o i ale jako za by pro tak po jsou jsem není ve které který která nebo být až "
        "při jeho také co si může od už jen"
    ),
    "Turkish": (
        "ve bir bu için ile da de olarak daha çok olan en gibi kadar sonra ne var değil ama her olduğu veya ise "
        "tarafından bunu şekilde çünkü nasıl olabilir"
    ),
    "Finnish": (
        "ja on ei se että oli hän mutta joka kun niin myös ovat tai jos mitä kuin sitä ole sen tämä voi sekä mukaan "
        "hyvin vain"
    ),
    "Romanian": (
        "și în de la cu pe nu este un o să din care pentru mai ca sunt au fost prin dar sau se ce lui acest această "
        "după poate fi dacă"
    ),
    "Indonesian or Malay": (
        "yang dan di untuk dengan dari ini itu tidak pada dalam adalah akan ke oleh atau juga dapat sebagai bisa "
        "saya anda mereka karena ada lebih telah kita"
    ),
    "Vietnamese": (
        "và của là có trong được cho không với các một những này đã người để về như khi từ cũng đến hoặc bạn nhiều "
        "nếu tôi trên"
    ),
}
_BY_WORD: dict[str, tuple[str, ...]] = {}
for _name, _words in _COMMON.items():
    for _one in _words.split():
        _BY_WORD[_one] = (*_BY_WORD.get(_one, ()), _name)


_QUICK = {name: frozenset(_COMMON[name].split()) for name in ("English", "German", "French", "Spanish")}
"""The most common languages' words, for a quick first look."""
_LOOK = 300
_SURE = 6
"""So many different common words of a language are not in a short text of another."""
_ELSEWHERE = re.compile(r"[^\x00-\u024f\u1e00-\u1eff\u2000-\u2bff\ufb00-\ufb06\ufe00-\ufe0f\U00010000-\U0010ffff]")


def language(text: str) -> str | None:
    """The language of a text, in words; None where that is not sure."""
    if len(text) < LEAST_LETTERS // 2:
        return None
    sample = text[:SAMPLE]
    if "`" in sample or "<" in sample or "http" in sample:
        sample = _CODE.sub(" ", sample)
    foreign = "" if sample.isascii() else "".join(_ELSEWHERE.findall(sample))
    if len(foreign) >= LEAST_LETTERS // 2:
        return _by_script(sample, foreign)
    words = sample[:_LOOK].split()
    for name, common in _QUICK.items():
        if len(common.intersection(words)) >= _SURE:
            return name
    return _latin(sample)


def _by_script(sample: str, foreign: str) -> str | None:
    """The language of letters other than Latin ones, unless these are many, too."""
    counts = {name: len(pattern.findall(foreign)) for name, pattern in _LETTERS}
    if counts["Japanese"] * 10 > counts["Chinese"]:
        counts["Japanese"] += counts.pop("Chinese")
    name, most = max(counts.items(), key=lambda one: one[1])
    total = sum(counts.values()) + len(_LATIN.findall(sample))
    if most >= LEAST_LETTERS and most >= 0.8 * total:
        return name
    if most >= LEAST_LETTERS // 2 and most >= 0.95 * total and name in ("Chinese", "Japanese", "Korean"):
        return name
    return _latin(sample) if most <= 0.05 * total else None


def _latin(sample: str) -> str | None:
    if len(sample) < 3 * LEAST_WORDS:
        return None
    words = _WORD.findall(sample[:SAMPLE_OF_WORDS].lower())
    if len(words) < LEAST_WORDS:
        return None
    hits: dict[str, int] = {}
    different: dict[str, int] = {}
    seen: set[str] = set()
    for word in words:
        if word in _BY_WORD:
            for name in _BY_WORD[word]:
                hits[name] = hits.get(name, 0) + 1
                if word not in seen:
                    different[name] = different.get(name, 0) + 1
            seen.add(word)
    if not hits:
        return None
    best = max(hits, key=hits.__getitem__)
    most = hits.pop(best)
    second = max(hits.values(), default=0)
    if most < 4 or different[best] < 4 or most < 0.2 * len(words) or second > 0.6 * most:
        return None
    return best
