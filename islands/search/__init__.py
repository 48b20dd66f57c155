"""How an island searches: what chooses parents, and what makes children of them."""
