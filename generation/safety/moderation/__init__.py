"""Moderation: what prompts and pictures may ask for, and what operators decide in doubt."""
