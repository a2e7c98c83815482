"""`python -m duplex` is the same as `duplex`."""

from duplex.cli import main

raise SystemExit(main())
