"""Time Frames: the files a fast monitor announces, and the runs that they belong to."""
