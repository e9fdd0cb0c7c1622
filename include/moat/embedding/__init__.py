"""The embedding model: its files, the clients that ask for vectors, and the resident server."""
