"""What every room stands on: the funnel, features, examples, errors, files that appear whole, threads."""
