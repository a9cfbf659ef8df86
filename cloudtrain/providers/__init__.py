"""The only code that knows a cloud."""
