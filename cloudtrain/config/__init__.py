"""The only code that reads a config file: YAML in, model values out."""
