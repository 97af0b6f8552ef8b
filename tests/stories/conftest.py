"""Property tests here have no deadline for a single example: a busy machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("stories", deadline=None)
settings.load_profile("stories")
