"""What several tests need: tiny models, corpora in their native layouts, processes to kill."""

from pathlib import Path

SUPPORT = Path(__file__).parent
"""Where the scripts are that tests start in processes of their own."""
