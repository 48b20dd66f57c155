"""Evolution for whoever scores the images: ask for them, tell what they are worth."""
