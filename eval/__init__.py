"""The judge: plays suites of scenarios against agents, keeps Recordings, and measures them later from those alone."""
