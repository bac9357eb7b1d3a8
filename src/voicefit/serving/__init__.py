"""Adapted models at work: in a server, behind a page for a browser and an API for programs."""
