"""What a cell shows while something runs: which of its output, how fast, and made fit for each front end."""
