"""Incidents: opened, diagnosed, notified once, and resolved."""
