"""Figures and signs as words: a small vocabulary has letters only, and a voice says words anyway. English."""

from __future__ import annotations

import re

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SIGNS = {"%": "percent", "\N{DEGREE SIGN}C": "degrees", "\N{DEGREE SIGN}F": "degrees", "\N{DEGREE SIGN}": "degrees"}
_SIGNS |= {"&": "and", "+": "plus", "=": "equals", "\N{MULTIPLICATION SIGN}": "times"}
_SIGNS |= {"$": "dollars", "\N{EURO SIGN}": "euros", "\N{POUND SIGN}": "pounds"}
_BLANK = re.compile(r"[\s/_*()\[\]{}<>#|~^\"\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}]+")
_QUOTES = "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
_DASHES = "\N{EN DASH}\N{EM DASH}"
_PLAIN = str.maketrans({**dict.fromkeys(_QUOTES, "'"), **dict.fromkeys(_DASHES, " - ")})
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")
_AMOUNT = re.compile(r"([$€£])(\d+(?:,\d{3})*(?:\.\d+)?)")


def spelled(text: str) -> str:
    """The same as it is read aloud: 21.5 °C -> twenty one point five degrees. Names and letters stay as they are."""
    text = text.translate(_PLAIN)
    text = _AMOUNT.sub(r"\2\1", text)
    text = re.sub(r"(?<=\d):(?=\d\d)", " ", text)
    text = re.sub(r"(?<=\d)\s*-\s*(?=\d)", " to ", text)
    text = _NUMBER.sub(lambda found: f" {_figure(found[0])} ", text)
    text = re.sub(r"\d", lambda found: f" {_SMALL[int(found[0])]} " if found[0].isascii() else " ", text)
    for sign, word in _SIGNS.items():
        text = text.replace(sign, f" {word} ")
    text = re.sub(r"\s-+\s", ", ", _BLANK.sub(" ", text))
    return re.sub(r"\s+(?=[.,;:!?]+(\s|$))", "", text).strip()


def number(n: int) -> str:
    """0 to 999,999,999 in words; above, digit by digit. Two words above twenty, as nano has learnt them."""
    if n < 20:
        return _SMALL[n]
    if n < 100:
        return _TENS[n // 10 - 2] + (f" {_SMALL[n % 10]}" if n % 10 else "")
    for size, name in ((100, "hundred"), (1_000, "thousand"), (1_000_000, "million")):
        if n < size * (10 if size == 100 else 1_000):
            return f"{number(n // size)} {name}" + (f" {number(n % size)}" if n % size else "")
    return " ".join(_SMALL[int(digit)] for digit in str(n))


def _figure(digits: str) -> str:
    minus, digits = ("minus ", digits[1:]) if digits[0] == "-" else ("", digits)
    whole, _, rest = digits.replace(",", "").partition(".")
    point = " point " + " ".join(_SMALL[int(digit)] for digit in rest) if rest else ""
    return minus + number(int(whole)) + point
