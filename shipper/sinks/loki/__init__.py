"""Loki: pushes streams over HTTP and says which records it will never take."""
