"""E-mail as alerts: what eight providers post, reduced to subject, message and sender."""
