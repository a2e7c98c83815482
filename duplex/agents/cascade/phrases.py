"""A language model's stream of text -> phrases worth speaking: plain words, cut where a voice may pause."""

from __future__ import annotations

import re

_END = re.compile(r"[.!?…]+[\"'\u201d\u2019)\]]*\s+|\n+")
_CLOSING = "\"'\u201d\u2019)* \n"  # may follow the mark that ends a sentence
_CLAUSE = re.compile(r"[,;:—]\s+")
_NOT_AN_END = re.compile(r"(?:^|\s)(?:\d+|[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|e\.g|i\.e)\.\s+$")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_LINE_START = re.compile(r"^\s*(?:[-*+•>]|#+|\d+[.)])\s+", re.MULTILINE)
_MARKS = re.compile(r"\*+|`+|~~|\|+|(?<!\w)_+|_+(?!\w)|<[^>]*>|https?://\S+")
_LABEL = re.compile(r"^\s*(?:A|AI|Answer|Assistant)\s*:\s*")
_PICTURES = re.compile("[\U00010000-\U0010ffff\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\ufe0f\u200d]")


def spoken(text: str) -> str:
    """The text as a voice should read it: no markdown, lists, links, emoji or speaker labels; "" if nothing is left."""
    for pattern, instead in ((_LINK, r"\1"), (_LINE_START, ""), (_MARKS, ""), (_LABEL, ""), (_PICTURES, "")):
        text = pattern.sub(instead, text)
    text = " ".join(text.split())
    return text if re.search(r"\w", text) else ""


def cut(text: str, first: bool) -> int:
    """Where the first phrase of `text` ends, 0 when that is not certain yet.

    A phrase is a sentence or a line; the first phrase of a reply may be a clause, so that the voice begins sooner.
    """
    for end in _END.finditer(text):
        if not _NOT_AN_END.search(text[: end.end()]):
            return end.end()
    clause = _CLAUSE.search(text) if first else None
    return clause.end() if clause else 0


class Phrases:
    """Cuts one reply as its pieces arrive, until it holds `most` phrases; `done` says when no more will come."""

    def __init__(self, most: int) -> None:
        self._most, self._text, self._count = most, "", 0

    @property
    def done(self) -> bool:
        return self._count >= self._most

    def push(self, piece: str) -> list[str]:
        """The next piece of text -> the phrases that it completes."""
        self._text = (self._text + piece).lstrip()
        found = []
        while not self.done and (end := cut(self._text, first=self._count == 0)):
            found += self._take(end)
        return found

    def flush(self) -> list[str]:
        """The text is over: the rest, unless a token limit left it unfinished and it is not all there is."""
        whole = self._text.rstrip(_CLOSING).endswith((".", "!", "?", "…"))
        return self._take(len(self._text)) if not self.done and (whole or self._count == 0) else []

    def _take(self, end: int) -> list[str]:
        phrase, self._text = spoken(self._text[:end]), self._text[end:].lstrip()
        self._count += bool(phrase)
        return [phrase] if phrase else []
