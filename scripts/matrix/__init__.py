"""Where the product works: each place is installed and driven, and docs/where-it-works.md says what came of it."""
