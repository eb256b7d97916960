"""The plumbing of /api/v1: who asks, how errors look, how lists page, the schema, the live streams."""
