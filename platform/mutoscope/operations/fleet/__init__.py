"""The fleet: which workers are to run where (`fleet.toml`), keeping them running, and what there is of them."""
