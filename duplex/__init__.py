"""duplex: a machine that listens while it speaks, and can prove how well it does."""
