"""An adapted model at work: predictions, export, and a server with a page for a browser and an API for programs."""
