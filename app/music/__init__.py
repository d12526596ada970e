"""The gallery of music: example recordings of each genre, and their spectral features."""
