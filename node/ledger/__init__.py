"""The books: all value moves here and only here."""
