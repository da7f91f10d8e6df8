"""Recordings of other tools, as small as can be, that the tests of ``captures.convert`` are made of."""
