"""Text tokens -> words."""

from __future__ import annotations

import sentencepiece

from duplex.engine.text import END_OF_PAD, PAD, InnerMonologue, Vocabulary


def test_words_come_out_whole_and_padding_is_silent(tiny):
    pieces = sentencepiece.SentencePieceProcessor(str(tiny / "tokenizer.model"))
    words = InnerMonologue(Vocabulary(tiny / "tokenizer.model"))
    tokens = [PAD, END_OF_PAD, *pieces.encode("hello there"), PAD, 1, 2, 10_000]
    assert "".join(words.push(token) for token in tokens) == " hello there"


def test_bytes_wait_for_a_whole_character(tiny):
    pieces = sentencepiece.SentencePieceProcessor(str(tiny / "tokenizer.model"))
    words = InnerMonologue(Vocabulary(tiny / "tokenizer.model"))
    euro = [pieces.piece_to_id(f"<0x{byte:02X}>") for byte in "€".encode()]
    assert [words.push(token) for token in euro] == ["", "", "€"]
    first = words.push(euro[0])
    letter = pieces.encode("blue")[-1]
    assert first == ""
    assert words.push(letter).startswith("\N{REPLACEMENT CHARACTER}")  # broken off, shown as such, nothing lost
