"""Buying credits and plans: by hand, or at a payment provider. What each does: `base`; which one it is: `provider`."""
