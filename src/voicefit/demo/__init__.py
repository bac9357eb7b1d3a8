"""The whole line on synthetic speech."""
