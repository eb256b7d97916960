"""Deleting workspaces and people: what is theirs goes, what the books need stays without a name.

A deletion takes effect at once and is carried out after it: the workspace's row says that it is deleted, so nobody
gets in and nothing comes in, and upkeep removes files and rows until nothing is left. See `docs/retention.md`.
"""
