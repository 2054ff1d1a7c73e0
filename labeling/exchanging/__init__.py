"""Labels as files: Label Studio, doccano, CSV, and JSON Lines of our own, out and in."""
