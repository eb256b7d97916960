"""The operators' side: what the Django admin shows and how it is arranged."""
