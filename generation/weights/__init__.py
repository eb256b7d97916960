"""The weights of models: where they lie on this machine, fetching them from hubs, and checking them."""
