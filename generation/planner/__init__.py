"""How many GPUs a demand for clips needs, what they cost, against whose prices, and how long people wait."""
