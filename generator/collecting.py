"""Collecting: how long a draft's model text gathers before it is stored and shown.

Owns the answer only. The longer commits take, the busier the server is, and the longer text gathers: however many
write on however small a machine, most of its time is left for those who type. Knows nothing of text or turns.
"""

from __future__ import annotations

LEAST_SECONDS, MOST_SECONDS = 0.03, 0.3
COMMITS = 20  # so many times as long as one commit takes


class Collecting:
    def __init__(self) -> None:
        self.seconds = LEAST_SECONDS

    def learn(self, commit_seconds: float) -> None:
        """A commit took so long. One that was slow by chance changes little."""
        wanted = min(MOST_SECONDS, max(LEAST_SECONDS, COMMITS * commit_seconds))
        self.seconds += (wanted - self.seconds) / 4
