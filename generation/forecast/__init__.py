"""When it will be done: places in the line, the measured pace, the claims to come rehearsed."""
