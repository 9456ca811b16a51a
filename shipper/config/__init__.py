"""What an operator may write: one definition that validates, documents and gives examples."""
