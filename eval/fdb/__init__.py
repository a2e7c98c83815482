"""Full-Duplex-Bench's folders: played as a suite, written back, and scored as its own scorer does."""
