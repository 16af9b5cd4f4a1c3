"""The HTTP frontend: a server with a thread and an event loop of its own, and its routes."""
