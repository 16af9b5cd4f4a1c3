"""The wires that clients speak, each in a package of its own: decode, one call of the engine, encode.

`status` and `versions` are what they share.
"""
