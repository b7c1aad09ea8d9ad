"""Keeps workers alive: a pure planner, a thin performer, and a board to see them by."""
