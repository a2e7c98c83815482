"""Moshi for many sessions at once: seats in one batch, one device thread, one step a tick."""
