"""Commands that remove what is no longer wanted: they list it with its size, and ask."""
