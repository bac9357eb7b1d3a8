"""Which corpora to pre-finetune on for a voice: candidates ranked on a few of its clips, before training."""
