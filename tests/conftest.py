"""What every test shares: hypothesis without deadlines, because timings belong to `make bench`."""

from hypothesis import settings

settings.register_profile("duplex", deadline=None, max_examples=50)
settings.load_profile("duplex")
