"""Plans and, later, credits and cost: what a workspace may use and what it pays."""
