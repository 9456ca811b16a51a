"""What is kept in SQL: the tables, their migrations, and the rules by which records come into them."""
