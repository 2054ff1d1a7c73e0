"""The whole installation in one file, and back: rows, vectors of the index, and the settings that matter."""
