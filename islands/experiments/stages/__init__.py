"""The steps of experiments other than evolution; each finds in the folder what is done already."""
