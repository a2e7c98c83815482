"""Gemini Live (BidiGenerateContent): the wire, which imports Google's SDK, and the caller, which does not.

What a client sets and this server has no use for is taken and left aside: sampling, safety, context compression,
proactivity, thinking, media resolution, prefixPaddingMs. A session cannot be resumed.
"""
