"""The output of a cell while something runs: how much of it is shown, how fast, and in a form for each front end."""
