"""The built-in metrics, one file each or one for a close family; they never import one another."""
