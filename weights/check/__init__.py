"""Judges a nano by what it says to users it never heard: `python -m weights.check`."""
