"""What a run leaves behind: run.json and report.html."""
