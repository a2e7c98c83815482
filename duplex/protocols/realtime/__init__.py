"""OpenAI Realtime (GA): turns of speech as JSON events, for any client of the `openai` SDK.

The agents know when turns begin and end; here that becomes events in the order that clients rely on, and the items of
a conversation. What a client asks for and an agent cannot do is said in `session.updated` (our field `unsupported`) or
in an `error` with code "unsupported"; no error ends a session.

Usage counts our own tokens: a tick (80 ms) of the user's turns since the last answer, and of the answer's sound, is as
many audio tokens as the agent has codebooks (8 where it has none); a word typed, or said, is a text token. Ignored, but
accepted: max_output_tokens, and a response's own voice and tools. Refused: responses outside of the conversation, and
recorded audio in an item without its transcript.

The wire imports OpenAI's SDK, which takes its time; the caller does not.
"""
