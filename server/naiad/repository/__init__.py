"""The disk: what should be served, read into values, and the manager that makes it so."""
