"""Files that pysmurf publishers announce: one row for each, with the MD5 of the file, for whoever archives them."""
