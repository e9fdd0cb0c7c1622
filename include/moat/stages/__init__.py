"""The stages of the way, one file each.

read → parse → clean → chunk → embed → gate → load → promote
"""
