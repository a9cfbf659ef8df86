"""What we started and have not yet paid off."""
