"""The way, one file a stage: read → parse → clean → chunk → embed → gate → load → promote."""
