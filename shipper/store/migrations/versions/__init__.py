"""One file for each step; its name begins with its revision: the branch and four digits."""
