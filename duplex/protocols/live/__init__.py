"""GPT-Live (`/v1/live/sessions`), OpenAI's full-duplex protocol: sound both ways all the time, silence included.

The wire imports OpenAI's SDK, which takes its time; the caller does not.
"""
