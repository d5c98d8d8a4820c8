"""Outgoing webhooks: requests of users' own making when something happens to an alert group (alert-flow 13)."""
