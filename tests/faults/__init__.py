"""Servers that misbehave, each fault with a name, for every wire to be held against."""
