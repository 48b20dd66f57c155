"""What is done with one run: launch, resume, score, verify, plan, examine."""
