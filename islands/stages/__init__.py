"""The steps that pipelines are made of; each finds in the store what is done already."""
