"""From frames to a clip in the library: encoding, checks, storage."""
