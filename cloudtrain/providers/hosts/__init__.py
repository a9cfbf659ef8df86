"""Machines of one's own, over SSH."""
