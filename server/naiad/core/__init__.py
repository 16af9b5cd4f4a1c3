"""Serving itself: no wire, no event loop, no ML framework, no disk. Imports nothing else of the house."""
