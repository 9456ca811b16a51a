"""Where records go: one module or folder per kind of far end."""
