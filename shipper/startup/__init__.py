"""May we run? Checks that must pass before anything starts."""
