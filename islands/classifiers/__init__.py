"""Networks that images are evolved against or scored on, behind one contract."""
