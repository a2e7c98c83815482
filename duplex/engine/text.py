"""Text tokens -> words. The ids that mean "no word here" live in this file and nowhere else."""

from __future__ import annotations

from pathlib import Path

import sentencepiece

PAD = 3  # no word begins or continues in this frame
END_OF_PAD = 0  # a word begins in the next frame


class Vocabulary:
    """A checkpoint's SentencePiece model, shared by all sessions."""

    def __init__(self, path: Path) -> None:
        self._pieces = sentencepiece.SentencePieceProcessor(str(path))

    def encode(self, word: str) -> list[int]:
        """A word's tokens, without those that mean something else; [] when nothing in it can be written."""
        pieces = self._pieces.encode(word)
        blank = self._pieces.piece_to_id("\N{LOWER ONE EIGHTH BLOCK}")
        tokens = [piece for piece in pieces if piece not in (END_OF_PAD, PAD)]
        return [] if tokens == [blank] else tokens

    def piece(self, token: int) -> str | bytes:
        """What one token adds to the text: "" for padding and control tokens, bytes for a byte-fallback token."""
        pieces = self._pieces
        if token in (PAD, END_OF_PAD) or not 0 <= token < pieces.vocab_size() or pieces.is_control(token):
            return ""
        if pieces.is_byte(token):
            return bytes([int(pieces.id_to_piece(token)[3:-1], 16)])  # "<0xE2>"
        return pieces.id_to_piece(token).replace("\N{LOWER ONE EIGHTH BLOCK}", " ")


class InnerMonologue:
    """One session's text stream: a token a frame in, text out."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._bytes = b""  # the first bytes of a character that is not yet whole

    def push(self, token: int) -> str:
        """The text voiced in this frame, usually ""."""
        piece = self._vocabulary.piece(token)
        if isinstance(piece, bytes):
            return self._push_byte(piece)
        if not piece:
            return ""
        broken, self._bytes = self._bytes, b""
        return broken.decode(errors="replace") + piece

    def _push_byte(self, byte: bytes) -> str:
        self._bytes += byte
        try:
            text = self._bytes.decode()
        except UnicodeDecodeError:
            return ""
        self._bytes = b""
        return text
