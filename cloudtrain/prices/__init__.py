"""What clouds charge: a dated table, and where each figure comes from."""
