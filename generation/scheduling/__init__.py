"""Which job is next: lanes, the tickets that wake their workers, whose turn it is, the claim, pauses."""
