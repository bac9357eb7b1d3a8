"""A server with a page for a browser and an API for programs."""
