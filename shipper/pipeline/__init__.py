"""Moves records safely: from a source's rows, through labels and batches, to the sinks."""
