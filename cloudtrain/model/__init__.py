"""The nouns: frozen values that import nothing of ours and do no I/O."""
