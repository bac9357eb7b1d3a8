"""An adapted model at work: labels of clips, timelines of recordings."""
