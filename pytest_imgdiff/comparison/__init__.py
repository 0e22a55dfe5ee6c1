"""Two images judged: scores, masks, regions, kinds and alignment."""
