"""Losses over regions: Dice and its kin, Lovász, and statistics of regions."""
