"""What an experiment shows: evidence, effects and verdicts on the claims of the paper."""
