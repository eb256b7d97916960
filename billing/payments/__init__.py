"""Buying credits and plans, at a payment provider or by hand: `base` says what a provider does."""
