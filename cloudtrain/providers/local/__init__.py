"""This computer as a machine."""
