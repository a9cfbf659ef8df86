"""Contract suites and doubles, importable by third parties."""
