"""See it in a terminal: what the page shows, over the network, for who has no browser."""
