"""Tables on their way into files and back: the columns that travel, the forms of files, reading and writing rows."""
