"""Faults by the clock, load all the while, and a checker that accounts for every record."""
