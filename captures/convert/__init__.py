"""Captures from and to the files of other tools: HAR both ways, mitmproxy and GoReplay in."""
