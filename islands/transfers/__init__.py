"""From scores to numbers: how images that evolved against one network do on others. Pure functions."""
