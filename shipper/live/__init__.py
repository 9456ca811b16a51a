"""See it now: the web process with the page, the metrics, and the answers to health checks."""
