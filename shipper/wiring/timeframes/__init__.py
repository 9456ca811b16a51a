"""The Time Frame client: `start`, `status`, `init-db`, and the ways out of its tables and back."""
