"""What the parts share: models, the engine in this process, other programs to compare with, and the record."""
