"""A voice enrolled: its clips read, a model adapted to them, recordings suggested that would help it."""
