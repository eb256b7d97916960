"""Clips in other forms: asked for, made once by `manage.py media`, kept while they are used.

`asking` is what people do, `making` what the media process does with one, `keeping` what upkeep does with all.
"""
