"""The hook: a connection, and the calls that are made through it."""
