"""The fault drill: a whole installation under load, one part after the other taken away, and an audit at the end."""
