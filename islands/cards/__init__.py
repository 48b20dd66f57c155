"""The card of a network: how easily it is fooled, in which classes, by what, and whether one can tell."""
