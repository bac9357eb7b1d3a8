"""What an adapted model is for: predictions."""
