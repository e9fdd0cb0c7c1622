"""What a running Moat tells of itself: health, metrics, lineage."""
