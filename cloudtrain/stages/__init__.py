"""One file per verb of the story, in story order; none imports another."""
