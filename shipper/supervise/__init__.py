"""Keeps the workers alive: starts them, watches them, restarts them, gives up on one without the others."""
